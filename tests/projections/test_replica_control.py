"""Operating a replica from another connection or process, and what hostile bytes can't do there."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import (
    Conflict,
    Corrupt,
    Invalid,
    InvalidId,
    MoonletError,
    PermissionDenied,
    Unavailable,
    Undecodable,
)
from moonlet.core.frontier import Frontier
from moonlet.projections import Replica, Roster, Status, operate
from moonlet.projections.replica.control import MAX_ORDERS, is_here
from moonlet.streams import Bus
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type
from tests.faulty import until, until_true
from tests.projections.authors import Opened, World, exposure_view
from tests.projections.connections import Hurt
from tests.projections.test_replica_control_hostile import outsider
from tests.projections.test_replica_operations import poisoned, strict_view, write
from tests.replica_process import REGIONS, ReplicaProcess, topology


async def test_a_replica_says_how_it_stands(world: World, tmp_path: Path) -> None:
    token = await write(world, Opened("a", 2))
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(token)
        digest = replica.digest
        status = await operate(bus, "exposure", replica.name, "status")
        assert (status.view, status.version, status.standing) == ("exposure", 1, "running")
        assert status.frontier == status.durable
        assert status.frontier == {world.stream(j): int(j == "us") for j in ("asia", "eu", "us")}
        assert status.digest == digest
        assert status.peer.startswith(f"{replica.name}-")


async def test_a_replica_is_paused_sought_and_resumed_from_outside(
    world: World, tmp_path: Path
) -> None:
    us = world.stream("us")
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        name = replica.name
        await replica.wait_for(await write(world, Opened("a", 1)))
        digest = replica.digest
        assert (await operate(bus, "exposure", name, "pause")).standing == "paused"
        await write(world, Opened("a", 2))
        paused = await operate(bus, "exposure", name, "status")
        assert (paused.frontier[us], paused.peer, paused.digest) == (1, "", digest)
        sought = await operate(bus, "exposure", name, "seek", to={us: 2})
        assert (sought.standing, sought.frontier[us]) == ("paused", 2)
        back = await operate(bus, "exposure", name, "seek", to={us: 1})
        assert (back.frontier[us], back.digest) == (1, digest)
        (entry,) = await Roster(bus).replicas("exposure")
        assert (entry.standing, entry.durable[us]) == ("paused", 1)
        assert (await operate(bus, "exposure", name, "resume")).standing == "running"
        await replica.wait_for(Frontier({us: 2}))
        assert replica.value["total"] == 3


async def test_a_stopped_replica_is_tried_again_and_has_its_commit_skipped_from_outside(
    world: World, tmp_path: Path
) -> None:
    us = world.stream("us")
    bus = await outsider(world)
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        await poisoned(world, replica)
        for action in ("status", "pause", "retry", "resume"):
            status = await operate(bus, "strict", replica.name, action)
            assert status.standing == "PoisonedEvent", action
            assert (status.stream, status.sequence, status.type) == (us, 3, "Opened"), action
            assert "below zero" in status.failure
        for elsewhere in ({us: 2}, {world.stream("eu"): 3}, {us: 3, world.stream("eu"): 1}):
            with pytest.raises(Conflict, match="sequence 3 now"):
                await operate(bus, "strict", replica.name, "skip", to=elsewhere)
        skipped = await operate(bus, "strict", replica.name, "skip", to={us: 3})
        assert (skipped.standing, skipped.failure, skipped.stream) == ("running", "", "")
        assert skipped.skipped == (f"{replica._lifecycle.held().state.journals.ids[2].tag}/3",)
        await replica.wait_for(Frontier({us: 4}))
        assert replica.value == {"total": 8}
        with pytest.raises(Invalid, match="nothing to skip"):
            await operate(bus, "strict", replica.name, "skip")


async def test_a_stopped_replica_can_be_sought_to_before_the_event_and_stops_there_again(
    world: World, tmp_path: Path
) -> None:
    us = world.stream("us")
    bus = await outsider(world)
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        await poisoned(world, replica)
        status = await operate(bus, "strict", replica.name, "seek", to={us: 1})
        assert (status.standing, status.failure) == ("paused", "")
        assert replica.value == {"total": 1}
        with pytest.raises(Undecodable, match="below zero") as caught:
            await operate(bus, "strict", replica.name, "seek", to={us: 4})
        assert (caught.value.stream, caught.value.sequence) == (us, 3)
        assert caught.value.type == "Opened"
        assert replica.value == {"total": 3}
        (entry,) = await Roster(bus).replicas("strict")
        assert entry.standing == "PoisonedEvent"


@pytest.mark.parametrize("past", [False, True], ids=["running", "paused"])
async def test_what_cannot_be_sought_changes_nothing(
    world: World, tmp_path: Path, past: bool
) -> None:
    us, asia = world.stream("us"), world.stream("asia")
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(await write(world, Opened("a", 1), journal="asia"))
        await replica.wait_for(await write(world, Opened("a", 2)))
        if past:
            await replica.pause()
        digest, standing = replica.digest, "paused" if past else "running"
        inode = replica.path.stat().st_ino
        for target, said in (
            ({us: 9}, "ends at 1"),
            ({us: 2**70}, "ends at 1"),
            ({us: 1, "nowhere": 0}, f"folds no journal nowhere; it folds {asia}"),
        ):
            with pytest.raises(Invalid, match=said):
                await operate(bus, "exposure", replica.name, "seek", to=target)
            status = await operate(bus, "exposure", replica.name, "status")
            assert (status.standing, status.digest) == (standing, digest)
        assert replica.path.stat().st_ino == inode, "it wasn't begun anew"


async def test_orders_wait_for_their_turn_and_too_many_are_refused(
    world: World, tmp_path: Path
) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        bus = await outsider(world)
        await replica._turn.acquire()  # an operation of the process's own goes on
        try:
            asked = [
                asyncio.create_task(operate(bus, "exposure", replica.name, "pause"))
                for _ in range(MAX_ORDERS + 1)
            ]
            await until(lambda: any(task.done() for task in asked))
            (refused,) = [task for task in asked if task.done()]
            with pytest.raises(Unavailable, match="16 orders wait"):
                refused.result()
            assert (await operate(bus, "exposure", replica.name, "status")).standing == "running"
        finally:
            replica._turn.release()
        answers = [await task for task in asked if task is not refused]
        assert {answer.standing for answer in answers} == {"paused"}
        assert (await operate(bus, "exposure", replica.name, "resume")).standing == "running"


async def test_seventeen_orders_at_once_are_carried_out_one_after_the_other(
    world: World, tmp_path: Path
) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        bus = await outsider(world)
        actions = ["pause", "resume", "seek", "retry"] * 4 + ["resume"]
        orders: list[Any] = [
            operate(bus, "exposure", replica.name, action)  # type: ignore[arg-type]
            for action in actions
        ]
        answers = await asyncio.gather(*orders, return_exceptions=True)
        carried_out = [answer for answer in answers if isinstance(answer, Status)]
        assert len(carried_out) >= MAX_ORDERS
        assert all(isinstance(a, Status | Unavailable) for a in answers), answers
        await operate(bus, "exposure", replica.name, "resume")
        await replica.wait_for(await write(world, Opened("a", 1)))
        assert replica.value["total"] == 1


async def test_a_busy_replica_answers_and_is_not_slowed_by_who_asks(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = 0
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        state = replica._lifecycle.held().state
        real: Callable[[Any], str] = type(state).digest.fget  # type: ignore[attr-defined]

        def counted(state: Any) -> str:
            nonlocal passes
            passes += 1
            return real(state)

        monkeypatch.setattr(type(state), "digest", property(counted))
        token = Frontier()
        for n in range(30):
            token = await write(world, Opened("a", n))
            status = await operate(bus, "exposure", replica.name, "status")
            assert status.standing == "running"
        await replica.wait_for(token)
        assert passes <= 3, "only while it stood still between two heartbeats, if it did"


async def test_a_closed_replica_answers_no_more_and_tells_who_waits(
    world: World, tmp_path: Path
) -> None:
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        name = replica.name
        await replica._turn.acquire()
        waiting = asyncio.create_task(operate(bus, "exposure", name, "pause"))
        await until(lambda: bool(replica._control._tasks))
    with pytest.raises(Unavailable, match="closed before it could pause"):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(Unavailable, match="isn't here") as caught:
        await asyncio.wait_for(operate(bus, "exposure", name, "status"), 5)
    assert "moonlet views" in str(caught.value)
    with pytest.raises(InvalidId):
        await operate(bus, "exposure", "a.b", "status")


async def test_a_replica_that_failed_for_good_still_answers_and_can_be_tried_again(
    world: World, tmp_path: Path
) -> None:
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(await write(world, Opened("a", 1)))
        replica.path.unlink()
        token = await write(world, Opened("a", 2))
        await until(lambda: replica.failure is not None)
        status = await operate(bus, "exposure", replica.name, "status")
        assert (status.standing, status.digest) == ("DatabaseCorrupt", "")
        assert "deleted or replaced" in status.failure
        with pytest.raises(Corrupt, match="deleted or replaced"):
            await operate(bus, "exposure", replica.name, "seek", to={})
        assert (await operate(bus, "exposure", replica.name, "retry")).standing == "running"
        await replica.wait_for(token)
        assert replica.value["total"] == 3


def cancel_at_call(hurt: Hurt, number: int, task: "asyncio.Future[Any]") -> None:
    """Cancel the task at that call of its own to the server."""
    calls = 0

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(Hurt, name, None)
        inner = real.__get__(hurt) if real is not None else getattr(hurt._inner, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            if asyncio.current_task() is task:
                calls += 1
                if calls == number:
                    task.cancel()
            return await inner(*arguments, **options)

        return call

    for name in ("stream_info", "message", "last_message", "subscribe"):
        setattr(hurt, name, counted(name))


@pytest.mark.parametrize("action", ["retry", "seek", "resume"])
async def test_a_cancelled_operation_leaves_a_replica_that_goes_on(
    world: World, tmp_path: Path, action: str
) -> None:
    token = Frontier()
    for n in range(5):
        token = await write(world, Opened("a", n))
    moon, hurt = await world.hurt_client()
    async with Replica(moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(token)
        number, was_cancelled = 0, True
        while was_cancelled:
            number += 1
            await replica.resume()
            if action == "resume":
                await replica.pause()
            to = (Frontier({world.stream("us"): 2}),) if action == "seek" else ()
            task: asyncio.Task[None] = asyncio.create_task(getattr(replica, action)(*to))
            cancel_at_call(hurt, number, task)
            (result,) = await asyncio.gather(task, return_exceptions=True)
            was_cancelled = isinstance(result, asyncio.CancelledError)
            assert was_cancelled or result is None, result
            await replica.resume()
            token = await write(world, Opened("a", number))
            await replica.wait_for(token)
            total = sum(range(5)) + sum(range(number + 1))
            assert (replica.value["total"], replica.durable, replica.failure) == (
                total,
                token,
                None,
            )
        assert number > 3, "each of its calls was tried"


class Raising:
    """Stands in for a replica whose operations raise, or whose status can't be told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def pause(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "raised"),
    [(Conflict("c"), Conflict), (Unavailable("u"), Unavailable), (ZeroDivisionError("z"), None)],
)
async def test_an_operation_that_fails_fails_at_the_caller_likewise(
    world: World, tmp_path: Path, error: Exception, raised: type[MoonletError] | None
) -> None:
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        replica.pause = Raising(error).pause  # type: ignore[method-assign]
        with pytest.raises(raised or MoonletError, match=str(error)) as caught:
            await operate(bus, "exposure", replica.name, "pause")
        assert type(caught.value) is (raised or MoonletError)
        assert (await operate(bus, "exposure", replica.name, "status")).standing == "running"


async def test_a_copy_of_a_running_replicas_file_is_another_replica(
    world: World, tmp_path: Path
) -> None:
    bus = await outsider(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as first:
        await first.wait_for(await write(world, Opened("a", 1)))
        with (
            closing(sqlite3.connect(first.path, isolation_level=None)) as source,
            closing(sqlite3.connect(tmp_path / "b.db", isolation_level=None)) as target,
        ):
            source.backup(target)
        async with Replica(world.moon, exposure_view(), tmp_path / "b.db") as second:
            assert first.name != second.name
            paused = await operate(bus, "exposure", second.name, "pause")
            assert (paused.replica, second.paused, first.paused) == (second.name, True, False)
            found = {entry.replica for entry in await Roster(bus).replicas("exposure")}
            assert found == {first.name, second.name}
            kept = second.name
    async with Replica(world.moon, exposure_view(), tmp_path / "b.db") as again:
        assert again.name == kept


async def test_who_may_not_listen_for_orders_folds_all_the_same(
    world: World, tmp_path: Path
) -> None:
    moon, hurt = await world.hurt_client()
    real = hurt.subscribe

    async def subscribe(subject: str, *rest: Any, **options: Any) -> Any:
        if ".control." in subject:
            raise PermissionDenied("may not", subject=subject)
        return await real(subject, *rest, **options)

    hurt.subscribe = subscribe  # type: ignore[method-assign]
    async with Replica(moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(await write(world, Opened("a", 1)))
        with pytest.raises(Unavailable, match="isn't here"):
            await operate(world.moon.bus, "exposure", replica.name, "pause")


async def test_a_replica_in_another_process_is_operated_under_load(
    shared_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    types = [account_type(region, partitions=1) for region in REGIONS]
    async with connect(shared_server.url, agents=types, topology=topology(name)) as moon:
        async with Host(moon, types, lease=5):
            await moon.ask("us/alice", Deposit(1))
            process = await asyncio.to_thread(
                ReplicaProcess, shared_server.url, name, tmp_path / "v.db"
            )
            try:
                await asyncio.to_thread(process.await_ready)
                (entry,) = await Roster(moon.bus).replicas("ledger")

                async def load() -> None:
                    for _ in range(100):
                        await moon.ask("us/alice", Deposit(1))

                working = asyncio.create_task(load())
                us = moon.bus.topology.journal_stream("us")
                for _ in range(3):
                    paused = await operate(moon.bus, "ledger", entry.replica, "pause")
                    assert paused.standing == "paused"
                    back = {us: 1}
                    sought = await operate(moon.bus, "ledger", entry.replica, "seek", to=back)
                    assert sought.frontier[us] == 1
                    resumed = await operate(moon.bus, "ledger", entry.replica, "resume")
                    assert resumed.standing == "running"
                await working
                shown = await asyncio.to_thread(process.show, moon.token)
                assert shown["value"]["total"] == 101
            finally:
                process.kill()
            with pytest.raises(Unavailable, match=r"isn't here|doesn't answer"):
                await operate(moon.bus, "ledger", entry.replica, "pause")  # just killed
            await until_true(lambda: _is_gone(moon.bus, entry.replica))


async def _is_gone(bus: Bus, replica: str) -> bool:
    return not await is_here(bus, "ledger", replica)
