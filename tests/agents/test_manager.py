"""The manager: lifecycle, health, restarts."""

import asyncio
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentManager, AgentStatus, Client, Host, SystemStatus
from moonlet.agents.live import live_agent
from moonlet.agents.recovery import Recoveries
from moonlet.core.errors import InvalidAgentType, InvalidSettings, Unavailable, UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.faulty import until, until_true


async def status_of(manager: AgentManager, agent: str) -> AgentStatus:
    status = await manager.status(agent)
    assert isinstance(status, AgentStatus)
    return status


async def whole(manager: AgentManager) -> SystemStatus:
    status = await manager.status()
    assert isinstance(status, SystemStatus)
    return status


async def test_an_agent_is_registered_started_told_stopped_and_started_again(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon:
        manager = AgentManager(moon)
        assert (await whole(manager)).health == "unhealthy"
        await manager.register_agent(account_type())
        await manager.register_agent(account_type("savings"))
        await manager.start_agent("account/a")
        receipt = await manager.send_message("account/a", Deposit(5))
        assert (await receipt.committed()).outcome == "accepted"
        running = await status_of(manager, "account/a")
        assert (running.status, running.health, running.revision) == ("running", "healthy", 1)
        await manager.stop_agent("account/a")
        assert (await status_of(manager, "account/a")).status == "stopped"
        waiting = await manager.send_message("account/a", Deposit(5))
        with pytest.raises(Unavailable, match="stopped"):
            await moon.query("account/a", GetBalance())
        await manager.start_agent("account/a")
        assert (await waiting.committed()).revision == 2
        await manager.restart_agent("account/a")
        assert await moon.query("account/a", GetBalance()) == 10

        async def placed() -> bool:
            return (await whole(manager)).partitions == 8

        await until_true(placed)
        status = await whole(manager)
        assert (status.health, status.types) == ("healthy", ["account", "savings"])
        assert [a.agent for a in status.agents] == ["account/a"]
        await manager.shutdown()
        await manager.shutdown()


async def test_an_agent_that_is_stopped_with_much_waiting_keeps_the_order(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = asyncio.Event()

    recover = Recoveries.recover

    async def recover_late(*about: Any) -> Any:
        await go.wait()
        return await recover(*about)

    monkeypatch.setattr(live_agent, "QUEUE_MAX", 4)
    monkeypatch.setattr(Recoveries, "recover", recover_late)
    account = account_type(partitions=1)
    async with moon_server.connect() as moon, Host(moon, [account]) as host:
        receipts = [await moon.tell("account/a", Deposit(amount)) for amount in range(1, 11)]
        partition = host.partition("account", 0)
        assert partition is not None
        waits = partition.agent("a")
        await until(lambda: (waits.queued, len(waits.held or ())) == (4, 6))
        await moon.order("account/a", "stop")
        assert (waits.queued, len(waits.held or ())) == (0, 10)
        go.set()
        await moon.order("account/a", "start")
        revisions = [(await receipt.committed()).revision for receipt in receipts]
        assert revisions == list(range(1, 11))


async def test_orders_are_carried_out_in_the_order_in_which_they_came(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon, Host(moon, [account_type()]) as host:
        registry = host.services.registry
        mark = registry.mark_stopped
        stopping, stopped_it = asyncio.Event(), asyncio.Event()

        async def stop_slowly(agent: AgentId, stopped: bool) -> None:
            if stopped:
                stopping.set()
                await asyncio.sleep(0.2)  # sleeps: what the registry takes for it
            await mark(agent, stopped)
            if stopped:
                stopped_it.set()

        registry.mark_stopped = stop_slowly  # type: ignore[method-assign]
        given_up = asyncio.create_task(moon.order("account/a", "stop"))
        await stopping.wait()
        given_up.cancel()
        await moon.order("account/a", "start")
        await stopped_it.wait()
        assert await registry.stopped("account") == set()
        assert await moon.ask("account/a", Deposit(5)) == 5


async def test_an_order_that_waited_until_the_partition_was_lost_is_not_carried_out(
    moon_server: MoonServer,
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect() as moon, Host(moon, [account]) as host:
        partition = host.partition("account", 0)
        assert partition is not None
        registry, mark = host.services.registry, host.services.registry.mark_stopped
        stopping, go_on = asyncio.Event(), asyncio.Event()

        async def stop_late(agent: AgentId, stopped: bool) -> None:
            stopping.set()
            await go_on.wait()
            await mark(agent, stopped)

        registry.mark_stopped = stop_late  # type: ignore[method-assign]
        first = asyncio.create_task(moon.order("account/a", "stop"))
        await stopping.wait()
        second = asyncio.create_task(moon.order("account/b", "stop"))
        await until(lambda: bool(partition._service._ordered._waiters))
        partition._owns = lambda: False
        go_on.set()
        await first
        with pytest.raises(Unavailable, match="was lost meanwhile"):
            await second
        assert await registry.stopped("account") == {AgentId("account", "a")}


async def test_mistakes_are_named(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        manager = AgentManager(moon)
        account = account_type()
        await manager.register_agent(account)
        with pytest.raises(InvalidSettings, match="runs on this host already"):
            await manager.register_agent(account)
        with pytest.raises(UnknownAgentType, match="nobody"):
            await manager.start_agent("nobody/a")
        with pytest.raises(InvalidSettings, match="heartbeat=0"):
            AgentManager(moon, heartbeat=0)
        await manager.shutdown()
        with pytest.raises(InvalidAgentType, match="partitions=4"):
            await AgentManager(moon).register_agent(account_type(partitions=2))


async def test_a_broken_agent_is_unhealthy_and_restarted_as_often_as_the_policy_says(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon:
        manager = AgentManager(moon, heartbeat=0.05, restarts=2, restart_delay=0.05)
        await manager.register_agent(account_type())
        await break_journal(moon, "account/bad")
        await manager.start_agent("account/bad")
        await manager.start_agent("account/good")
        await manager.send_message("account/bad", Deposit(1))

        async def given_up() -> bool:
            return any(a.restarts == 2 for a in (await whole(manager)).agents)

        await until_true(given_up)
        status = await whole(manager)
        bad, good = status.agents
        assert status.health == "unhealthy" and "account/bad" in status.reason
        assert bad.status == "broken" and "is no commit" in bad.reason
        assert good.health == "healthy" and good.last_heartbeat > 0
        await manager.shutdown()


async def test_heartbeats_are_published(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        heard: list[bytes] = []
        subject = f"{moon.bus.topology.prefix}.heartbeat.*"
        await moon.bus.subscribe(subject, lambda message: heard.append(message.data))
        manager = AgentManager(moon, heartbeat=0.05)
        await manager.register_agent(account_type())

        async def twice() -> bool:
            return len(heard) >= 2

        await until_true(twice)
        await manager.shutdown()
        beat = msgspec.json.decode(heard[0], type=SystemStatus)
        assert beat.health == "healthy" and beat.types == ["account"]


async def break_journal(moon: Client, agent: str) -> None:
    await moon.bus.publish(moon.bus.subjects.journal(AgentId.parse(agent)), b"rubbish", timeout=5)
