"""Handlers of agents may not ask for time or chance, though a run has virtual ones; others may."""

import asyncio
import contextlib
import datetime
import logging
import os
import random
import sys
import time
import uuid
import warnings
from collections.abc import Awaitable, Callable, Iterator
from types import FunctionType
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentType, Context
from moonlet.core import behavior
from moonlet.core.behavior import Behavior
from moonlet.core.errors import MoonletError
from moonlet.core.schema import MessageType, upcast
from moonlet.simulations import World, faults
from moonlet.simulations.errors import Escape, Impure
from moonlet.simulations.guard import Judge
from moonlet.simulations.guard.handler_calls import may_ask
from moonlet.simulations.reference import Balance, Transfer, account
from moonlet.simulations.reference import reference as bank
from moonlet.simulations.run import SimulationRun
from moonlet.simulations.scenario import Run, Scenario
from moonlet.simulations.search import sweep
from tests.simulations.asking import Ask, Asks, Look, Stamped, asking
from tests.simulations.probes import IN_HANDLERS, INNOCENT, Probe
from tests.simulations.programs import run
from tests.simulations.small import counter

ALL_PROBES = pytest.mark.parametrize("probe", IN_HANDLERS, ids=lambda probe: probe.name)
SOME = ("time.time", "datetime.now", "random.random", "uuid4, bound", "os.urandom", "loop.time")
WAYS = frozenset((id(time.time),))


@pytest.fixture(autouse=True)
def no_deprecations() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def decided(agent_type: AgentType[Any], command: Any, *, watch: bool | None = None) -> Any:
    """What an agent of the type decides in a run that is strict about it."""
    name = MessageType(type(command)).name
    handler = agent_type.behavior.commands[name]
    context = Context(self_id="asking/a", revision=0, now_us=0)

    async def main() -> Any:
        await asyncio.sleep(1)
        state = agent_type.behavior.initial()
        return agent_type.behavior.decide(state, handler, command, context, "json")

    return run(main, strict=(agent_type,), watch=watch)


def world_with(body: Callable[[World], Awaitable[None]]) -> Run:
    scenario = Scenario(
        name=f"{__name__}:none", body=body, agents=(asking,), faults=faults.none(), hosts=1
    )
    return scenario.run(1)


def test_the_table_has_forty_ways_to_ask() -> None:
    assert len({probe.name for probe in IN_HANDLERS}) == len(IN_HANDLERS) >= 40


@ALL_PROBES
@pytest.mark.parametrize("where", ["command", "event", "swallowed"])
def test_a_handler_that_asks_fails_the_run_and_is_named(probe: Probe, where: str) -> None:
    with pytest.raises(Impure) as caught:
        decided(asking, Ask(probe.name, where))
    error = caught.value
    kind, name = ("event", "asked") if where == "event" else ("command", "ask")
    assert error.handler == f"the {kind} handler tests.simulations.asking.{name}"
    assert probe.word in error.call
    assert "probes.py:" in error.where or "asking.py:" in error.where
    assert str(error).startswith(f"{error.call} in {error.handler}, at {error.where}: ")
    assert error.remedy in str(error) and ("context" in error.remedy or "process" in error.remedy)


@ALL_PROBES
def test_ring_3_says_the_same_of_a_handler(probe: Probe) -> None:
    with pytest.raises(Impure) as caught:
        decided(asking, Ask(probe.name), watch=True)
    assert probe.word in caught.value.call


@pytest.mark.parametrize("probe", INNOCENT, ids=lambda probe: probe.name)
def test_what_hangs_on_nothing_is_free_to_handlers(probe: Probe) -> None:
    assert decided(asking, Ask(probe.name)).outcome == "accepted"


def test_a_handler_may_log_though_its_line_has_a_time() -> None:
    logging.getLogger("asking").addHandler(handler := logging.NullHandler())
    try:
        assert decided(asking, Ask("time", "log")).outcome == "accepted"
    finally:
        logging.getLogger("asking").removeHandler(handler)


@pytest.mark.parametrize("probe", SOME)
@pytest.mark.parametrize("where", ["command", "event", "query"])
def test_in_a_world_each_handler_is_held_to_it(probe: str, where: str) -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            if where == "query":
                await moon.ask("asking/a", Ask("", "nowhere"))
                await moon.query("asking/a", Look(probe))
            else:
                await moon.ask("asking/a", Ask(probe, where))

    error = world_with(body).error
    assert isinstance(error, Impure), error
    assert error.handler.startswith(f"the {where} handler tests.simulations.asking.")


def test_the_body_of_a_test_may_ask_and_has_virtual_answers() -> None:
    seen: list[Any] = []

    async def body(world: World) -> None:
        async with world.client() as moon:
            assert await moon.ask("asking/a", Ask("", "nowhere")) == "asked"
            assert await moon.query("asking/a", Look("")) == 1
            assert await moon.query("asking/a", Stamped()) == 1
            before = time.time()
            await asyncio.sleep(1.5)
            assert time.time() - before == 1.5
            loop = asyncio.get_running_loop()
            seen.append((time.monotonic(), random.random(), uuid.uuid4(), os.urandom(4)))
            seen.append((random.Random().random(), os.getpid(), loop.time() >= 1.5))
        await world.settle()

    assert [world_with(body).error for _ in range(2)] == [None, None]
    assert seen[:2] == seen[2:]


@pytest.mark.parametrize("probe", ["time.time", "random.random", "uuid4"])
def test_who_performs_a_call_may_ask(probe: str) -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.ask("asking/a", Ask(probe, "work"))
        await world.settle()
        assert (await world.states("asking"))["a"] == Asks(2)

    assert world_with(body).error is None


def test_a_sweep_tells_of_the_handler_rather_than_of_what_came_of_it() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("asking/a", Ask("time.time"))
            await world.advance("1s")
        await world.settle()
        assert (await world.states("asking"))["a"].count == 1, "it was parked"

    failed = world_with(body)
    assert isinstance(failed.error, Impure)
    assert failed.failure == "Impure time.time()"
    found = sweep(failed.scenario, range(3)).failed
    assert found is not None and found.failure == failed.failure


class Old(msgspec.Struct, frozen=True):
    at: float = 0.0


def test_an_upcast_is_held_to_it_too() -> None:
    @upcast("Old", 1)
    def stamped(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "at": time.time()}

    old = MessageType(Old, {("Old", 1): stamped})
    old.version = 2
    old.take_upcasts({("Old", 1): stamped})

    async def main() -> None:
        with contextlib.suppress(MoonletError):
            old.convert({}, 1)

    with pytest.raises(Escape, match=r"time\.time\(\) in the upcast .*stamped"):
        run(main, strict=(asking,))
    run(main)


def test_only_the_handlers_of_a_strict_run_are_judged() -> None:
    handler = asking.behavior.commands["Ask"]
    context = Context(self_id="asking/a", revision=0, now_us=0)

    async def main() -> Any:
        return asking.behavior.decide(Asks(), handler, Ask("uuid4"), context, "json")

    assert run(main).outcome == "accepted"


def test_what_the_guard_put_into_the_framework_is_gone_after_the_run() -> None:
    before = behavior._evolved, Behavior._decide, asking.queries["Look"].function
    inside: list[Any] = []

    async def main() -> None:
        inside.append(behavior._evolved)

    drawn = vars(random._inst)
    run(main, strict=(asking,))
    after = behavior._evolved, Behavior._decide, asking.queries["Look"].function
    assert after == before
    assert (inside[0] is before[0]) == (sys.version_info >= (3, 12))
    assert "random" not in drawn and "getrandbits" not in drawn
    assert sys.getprofile() is None


def alone(function: Any) -> AgentType[Any]:
    """A type with that handler, as if its module held nothing."""
    code, closure = function.__code__, function.__closure__
    lonely = FunctionType(code, {"__name__": "lonely"}, function.__name__, None, closure)
    lonely.__annotations__ = {"command": Transfer}
    kind = AgentType("kind", Balance)
    kind.on_command(lonely)
    return kind


def test_where_ring_3_is_dear_it_watches_only_agents_that_hold_a_way_out() -> None:
    def importing(state: Balance, command: Transfer) -> Any:
        from datetime import datetime as imported

        yield imported.now()

    def closing(state: Balance, command: Transfer) -> Any:
        yield way

    assert not may_ask((account,), WAYS)
    assert may_ask((counter,), WAYS)  # its module holds asyncio
    assert may_ask((counter, asking), WAYS)  # by way of the table of probes
    assert may_ask((alone(importing),), WAYS)
    for way, is_one in ((time.time, True), (datetime.date, True), (datetime, True), (7, False)):
        assert may_ask((alone(closing),), WAYS) == is_one, way


def test_to_be_strict_changes_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = bank.run(3)
    monkeypatch.setattr(Judge, "handler_asks", lambda *_: pytest.fail("nobody asks"))
    assert bank.run(3).digest == strict.digest
    made = SimulationRun.__init__
    monkeypatch.setattr(
        SimulationRun,
        "__init__",
        lambda self, seed, strict, trace, watched: made(self, seed, trace=trace),
    )
    assert bank.run(3).digest == strict.digest
