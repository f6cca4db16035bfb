"""Calls outside: they fail in words and as data, are tried again, end, and keep nobody waiting."""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentType, Client, Decision, Host, Perform, PerformFailed
from moonlet.agents.calls import call_runner
from moonlet.core.errors import InvalidSettings
from moonlet.streams import Topology
from moonlet.testing import MoonServer
from tests.agents.outside import (
    Call,
    Count,
    Do,
    Done,
    Failed,
    Heard,
    Log,
    caller_type,
    calling,
    ended,
)
from tests.faulty import until, until_true


def blocked(seconds: float) -> None:
    """What code does that knows nothing of loops."""
    time.sleep(seconds)  # sleeps: it blocks its thread


class Mute(Exception):
    """Says nothing, and breaks whoever asks."""

    def __str__(self) -> str:
        raise SystemExit("as asked")


RAISED: dict[str, tuple[BaseException, str, str, str]] = {
    "text": (ValueError("503 \ud800"), "ValueError: 503 ?", "raised", "ValueError"),
    "none": (LookupError(), "LookupError", "raised", "LookupError"),
    "mute": (Mute(), "Mute", "raised", f"{__name__}.Mute"),
    "cancelled": (asyncio.CancelledError(), "CancelledError", "cancelled", "asyncio.exceptions."),
    "exit": (SystemExit(3), "SystemExit: 3", "raised", "SystemExit"),
    "interrupt": (KeyboardInterrupt(), "KeyboardInterrupt", "raised", "KeyboardInterrupt"),
    "timeout": (TimeoutError("its own"), "TimeoutError: its own", "raised", "TimeoutError"),
    "group": (
        ExceptionGroup("two", [OSError("a"), ValueError("b")]),
        "ExceptionGroup: two (2 sub-exceptions); OSError: a; ValueError: b",
        "raised",
        "ExceptionGroup",
    ),
    "long": (ValueError("y" * 9_000), "ValueError: " + "y" * 1_988, "raised", "ValueError"),
}
LARGE = Done(os.urandom(1_500_000).hex())
RETURNED: dict[str, tuple[Any, str]] = {
    "nothing": (None, "returned NoneType, which is no message"),
    "half": (Done("\udfff"), "Done"),
    "wrong": (Done(7), "Done"),  # type: ignore[arg-type]
}


async def test_whatever_a_call_raises_or_returns_its_agent_hears_of_it(
    moon_server: MoonServer,
) -> None:
    def outcome(how: str) -> Any:
        how = how.removeprefix("block ")
        if how in RAISED:
            raise RAISED[how][0]
        if how == "large":
            return LARGE
        return RETURNED[how][0]

    async def does(how: str, call_id: str) -> Any:
        return outcome(how)

    caller = caller_type(does, outcome)
    async with calling(moon_server, caller) as moon:
        for number, how in enumerate([*RAISED, *RETURNED, "large"]):
            for way in ("", "block "):
                agent = f"caller/{number}-{len(way)}"
                await moon.tell(agent, Do(way + how))
                state = await ended(moon, agent, 1)
                failed = state.failed[0]
                assert (failed.call, failed.attempts) == (way + how, how not in ("large",))
                if how in RAISED:
                    _, error, kind, cls = RAISED[how]
                    assert (failed.error, failed.kind) == (error, kind), how
                    assert failed.type.startswith(cls)
                else:
                    assert failed.kind == "bad result"
                    said = RETURNED[how][1] if how in RETURNED else "can't be stored"
                    assert said in failed.error


async def test_a_call_is_tried_again_as_its_policy_says(moon_server: MoonServer) -> None:
    tries: Counter[str] = Counter()

    async def does(how: str, call_id: str) -> Done:
        tries[call_id] += 1
        if how == "wrong":
            raise ValueError(how)
        if how == "never" or tries[call_id] < 3:
            raise ConnectionError(how)
        return Done(f"{how} after {tries[call_id]}")

    caller = caller_type(does, attempts=4, retry_on=OSError, wait=0.01, wait_max=0.05)
    async with calling(moon_server, caller) as moon:
        for how in ("flaky", "wrong", "never"):
            await moon.tell("caller/a", Do(how))
            await ended(moon, "caller/a", ("flaky", "wrong", "never").index(how) + 1)
        state = await ended(moon, "caller/a", 3)
    assert state.heard == ("flaky after 3",)
    assert [(f.error, f.attempts) for f in state.failed] == [
        ("ValueError: wrong", 1),
        ("ConnectionError: never", 4),
    ]
    assert sorted(tries.values()) == [1, 3, 4], "each under one id"


async def test_a_call_that_hangs_ends_and_makes_room(moon_server: MoonServer) -> None:
    """However it hangs: waiting, waiting without end, blocking its loop, or its thread."""
    release = time.monotonic() + 4

    async def does(how: str, call_id: str) -> Done:
        if how == "wait":
            await asyncio.Event().wait()
        while how == "stubborn" and time.monotonic() < release:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue
        if how == "rude":
            blocked(3)
        return Done(how)

    def blocks(how: str) -> Done:
        blocked(3)
        return Done(how)

    caller = caller_type(does, blocks, max_calls=4, attempt_timeout=0.4)
    async with calling(moon_server, caller) as moon:
        started = time.monotonic()
        for how in ("wait", "stubborn", "block"):
            for number in range(4):
                await moon.tell(f"caller/{how}{number}", Do(how))
        await moon.tell("caller/quick", Do("quick"))
        assert (await ended(moon, "caller/quick", 1)).heard == ("quick",)
        assert time.monotonic() - started < 8
        for how in ("wait", "stubborn", "block"):
            for number in range(4):
                (failed,) = (await ended(moon, f"caller/{how}{number}", 1)).failed
                said = "TimeoutError: no result within 0.4 s"
                assert (failed.error, failed.kind, failed.attempts) == (said, "timeout", 1)
        await moon.tell("caller/rude", Do("rude"))
        assert (await ended(moon, "caller/rude", 1)).failed[0].kind == "timeout"
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 8, "a host leaves what hangs behind"


async def test_a_call_that_blocks_keeps_neither_agents_nor_other_calls_waiting(
    moon_server: MoonServer,
) -> None:
    async def does(how: str, call_id: str) -> Done:
        if how == "rude":
            blocked(4)
        await asyncio.sleep(0.2)  # sleeps: it is under way when another blocks its loop
        return Done(how)

    def blocks(how: str) -> Done:
        blocked(4)
        return Done(how)

    caller = caller_type(does, blocks)
    async with moon_server.connect(agents=[caller]) as moon, Host(moon, [caller]) as host:
        started = time.monotonic()
        for number in range(3):
            await moon.tell(f"caller/b{number}", Do("block"))
            await moon.tell(f"caller/r{number}", Do("rude"))
            await moon.tell(f"caller/k{number}", Do("kind"))
        slowest = 0.0
        while time.monotonic() - started < 1.5:
            asked = time.monotonic()
            await moon.ask("caller/other", Count())
            slowest = max(slowest, time.monotonic() - asked)
        assert slowest < 1
        for number in range(3):
            assert (await ended(moon, f"caller/k{number}", 1)).heard == ("kind",)
        assert time.monotonic() - started < 4, "nobody waited for those that block"
        for number in range(3):  # they end well, if late
            assert (await ended(moon, f"caller/b{number}", 1)).heard == ("block",)
            assert (await ended(moon, f"caller/r{number}", 1)).heard == ("rude",)
        assert host.services.alarms["a call blocks its thread"] >= 1


async def test_a_result_that_nobody_handles_is_parked_and_the_operator_told(
    moon_server: MoonServer,
) -> None:
    caller: AgentType[Log] = AgentType("deaf", Log, partitions=1)

    @caller.on_command
    def do(state: Log, command: Do) -> Decision:
        yield Perform(Call(command.how))

    @caller.on_perform
    async def perform(call: Call):  # type: ignore[no-untyped-def]
        if call.how == "fail":
            raise ValueError("nobody hears of it")
        return Done(call.how)

    async with moon_server.connect(agents=[caller]) as moon, Host(moon, [caller]) as host:
        for number, how in enumerate(("fail", "work"), start=1):
            await moon.tell(f"deaf/{how}", Do(how))
            await until(lambda: host.services.alarms.get("a call's result is parked") == number)  # noqa: B023
            commits = [c async for c in moon.history(f"deaf/{how}")]
            assert [c.outcome for c in commits] == ["accepted", "parked"]
            assert "has no command" in commits[1].reason
            assert (await parked(moon, f"deaf/{how}"))["name"] == commits[1].command.name


async def parked(moon: Client, agent: str) -> Any:
    """What stands in the parked stream of it."""
    subject = f"{moon.bus.subjects.prefix}.parked.{agent.replace('/', '.')}"
    stream = moon.bus.topology.stream("parked")

    async def there() -> bool:
        return await moon.bus._js.last_message(stream, subject) is not None

    await until_true(there)
    message = await moon.bus._js.last_message(stream, subject)
    assert message is not None
    return msgspec.json.decode(message.data)


async def test_no_more_calls_run_at_a_time_than_the_type_and_the_host_allow(
    moon_server: MoonServer,
) -> None:
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    go = threading.Event()

    async def does(how: str, call_id: str) -> Done:
        for place in (call_id.partition("/")[0], "all"):
            running[place] += 1
            most[place] = max(most[place], running[place])
        await asyncio.to_thread(go.wait)
        for place in (call_id.partition("/")[0], "all"):
            running[place] -= 1
        return Done(how)

    one = caller_type(does, name="one", max_calls=2)
    two = caller_type(does, name="two", max_calls=3)
    async with moon_server.connect(agents=[one, two]) as moon:
        async with Host(moon, [one, two], max_calls=4):
            for number in range(12):
                await moon.tell("one/a", Do(str(number)))
                await moon.tell("two/a", Do(str(number)))
            await until(lambda: running["all"] >= 4)
            await asyncio.sleep(0.3)  # sleeps: what comes too much comes at once
            go.set()
            await ended(moon, "one/a", 12)
            await ended(moon, "two/a", 12)
    assert most["one"] <= 2 and most["two"] <= 3 and most["all"] == 4


class Shop:
    """What calls need: it counts how often it is opened and closed."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @asynccontextmanager
    async def client(self) -> AsyncIterator[str]:
        """Opened on the loop of calls."""
        self.told.append("open client")
        if self.told.count("open client") == 1:
            raise ConnectionError("not yet")
        yield "the client"
        await asyncio.sleep(0)
        self.told.append("close client")

    @contextmanager
    def database(self) -> Iterator[str]:
        """May block."""
        self.told.append("open database")
        yield "the database"
        self.told.append("close database")


async def test_what_calls_need_is_given_by_the_host_and_closed_with_it(
    moon_server: MoonServer,
) -> None:
    shop = Shop()
    caller: AgentType[Log] = AgentType(
        "needy", Log, partitions=1, resources={"database": shop.database}
    )

    @caller.on_command
    def do(state: Log, command: Do) -> Decision:
        yield Perform(Call(command.how))

    @caller.on_perform
    async def perform(call: Call, client: str, call_id: str, database: str) -> Done:
        return Done(f"{call.how} {call_id} {client} {database}")

    @caller.on_command
    def done(state: Log, command: Done) -> Decision:
        yield Heard(command.what)

    @caller.on_command
    def failed(state: Log, command: PerformFailed) -> Decision:
        yield Failed(command.error, command.cause.kind, "", command.attempts, "")

    @caller.on_event
    def heard(state: Log, event: Heard) -> Log:
        return Log((*state.heard, event.text), state.failed)

    @caller.on_event
    def noted(state: Log, event: Failed) -> Log:
        return Log(state.heard, (*state.failed, event))

    async with moon_server.connect(agents=[caller]) as moon:
        with pytest.raises(InvalidSettings, match="takes 'client', and no resource has this name"):
            await Host(moon, [caller]).start()
        async with Host(moon, [caller], resources={"client": shop.client}):
            for number in range(4):
                await moon.tell("needy/a", Do(f"call{number}"))
                await ended(moon, "needy/a", number + 1)
            state = await moon.state("needy/a")
            assert [failed.error for failed in state.failed] == ["ConnectionError: not yet"]
            assert state.heard == tuple(
                f"call{n} needy/a:{2 * n + 1}.0 the client the database" for n in (1, 2, 3)
            )
        assert sorted(shop.told[2:]) == ["close client", "close database", "open database"]


async def test_a_policy_holds_on_every_host_and_a_call_runs_again_elsewhere(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that leaves in the middle of a call leaves it to the next, which has all attempts."""
    monkeypatch.setattr(call_runner, "ACK_WAIT", 1.0)
    tries: list[str] = []
    leaves = asyncio.Event()

    async def does(how: str, call_id: str) -> Done:
        tries.append(call_id)
        if not leaves.is_set():
            await asyncio.Event().wait()
        if len(tries) < 3:
            raise OSError("again")
        return Done(how)

    caller = caller_type(does, attempts=2, wait=0.01)
    topology = Topology(prefix=moon_server.topology.prefix)
    assert topology.prefix
    async with moon_server.connect(agents=[caller]) as moon:
        async with Host(moon, [caller]):
            await moon.tell("caller/a", Do("on"))
            await until(lambda: tries == ["caller/a:1.0"])
        leaves.set()
        async with Host(moon, [caller]):
            assert (await ended(moon, "caller/a", 1)).heard == ("on",)
    assert tries == 3 * ["caller/a:1.0"]


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_a_call_that_ends_all_that_runs_beside_it_hurts_no_other_call(
    moon_server: MoonServer, how: str
) -> None:
    """It stops the loop that it finds itself in, or cancels all tasks there."""

    async def does(told: str, call_id: str) -> Done:
        if told == "rude":
            for task in asyncio.all_tasks() if how == "cancel" else ():
                task.cancel()
            asyncio.get_running_loop().stop()
        await asyncio.sleep(0.2)  # sleeps: it is under way meanwhile
        return Done(told)

    caller = caller_type(does)
    async with calling(moon_server, caller) as moon:
        await moon.tell("caller/a", Do("kind"))
        await moon.tell("caller/r", Do("rude"))
        await moon.tell("caller/b", Do("kind"))
        for agent in ("caller/a", "caller/b"):
            assert (await ended(moon, agent, 1)).heard == ("kind",)
        rude = await ended(moon, "caller/r", 1)
        assert rude.heard == ("rude",) if how == "stop" else rude.failed[0].kind == "timeout"
        await moon.tell("caller/a", Do("kind"))  # and the next one
        assert (await ended(moon, "caller/a", 2)).heard == ("kind", "kind")
