"""`@simulate(...)`: a test function that runs once per seed, as plain pytest sees it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from moonlet.agents import AgentType
from moonlet.core.errors import InvalidSettings
from moonlet.simulations import faults as known_faults
from moonlet.simulations.durations import Duration
from moonlet.simulations.faults import FaultSet
from moonlet.simulations.scenario import Body, Scenario
from moonlet.simulations.search.sweeping import sweep

SEEDS_VARIABLE = "MOONLET_SEEDS"
"""Replaces `seeds`: a number, or one range of seeds as `98` alone in `98:99`."""


class SimulatedTest(Protocol):
    """What `simulate` makes: a test function, and its scenario, to run single seeds and plans."""

    scenario: Scenario

    def __call__(self) -> None:
        """Run the seeds; raises `SimulationFailed` for the first that fails."""
        ...


def simulate(
    *,
    agents: Sequence[AgentType[Any]],
    seeds: int = 100,
    hosts: int = 3,
    faults: FaultSet | None = None,
    horizon: Duration = "20s",
    heal_within: Duration = "120s",
    replicas: Sequence[int] = (1, 3),
    lease: int = 2,
    marks: Sequence[str] = (),
    history: str | Path = "",
) -> Callable[[Body], SimulatedTest]:
    """Run the decorated `async def test(world)` in `seeds` worlds; the first failure is reported.

    Faults (default: all) last up to `horizon` of virtual time; then, or at `world.settle()`,
    everything must finish `heal_within`. The promises are checked in any case. A failure raises
    `SimulationFailed` with the shrunk plan and the line that replays it. `marks` are names of
    `reached(...)` in the code: all must be come to in some seed, or the test saw too little.
    `history` is a bundle that `moonlet sim import` took: each world starts as that server stood. It
    is looked for in the working folder, then beside the test.
    """
    if not agents:
        raise InvalidSettings("simulate: name the agent types that the hosts run, agents=[...]")
    if hosts < 1 or seeds < 1:
        raise InvalidSettings(f"simulate: hosts={hosts} and seeds={seeds} must be at least 1")

    def decorate(body: Body) -> SimulatedTest:
        scenario = Scenario(
            name=f"{_module(body)}:{body.__qualname__}",
            body=body,
            agents=tuple(agents),
            faults=known_faults.all() if faults is None else faults,
            hosts=hosts,
            horizon=horizon,
            heal_within=heal_within,
            replicas=tuple(replicas),
            lease=lease,
            history=_found(history, body),
        )

        def test() -> None:
            __tracebackhide__ = True
            found = sweep(scenario, asked_seeds(seeds))
            found.report()
            missed = sorted(set(marks) - set(found.coverage.reached))
            assert not missed or os.environ.get(SEEDS_VARIABLE), (
                f"{found.passed} seeds passed, and none reached: {', '.join(missed)}; ask for more"
                " seeds, or for a workload that leads there"
            )

        test.__name__ = body.__name__
        test.__qualname__ = body.__qualname__
        test.__module__ = body.__module__
        test.__doc__ = inspect.getdoc(body)
        simulated = cast(SimulatedTest, test)
        simulated.scenario = scenario
        return simulated

    return decorate


def _module(body: Body) -> str:
    """The module that a replay will look for: a program that was started by its file has no name.

    `python tests/test_bank.py` runs `__main__`; whoever replays what it kept finds `test_bank`.
    """
    name = body.__module__
    return Path(inspect.getfile(body)).stem if name == "__main__" else name


def _found(history: str | Path, body: Body) -> str:
    """The path of a bundle: as it is, or beside the file that the test is in."""
    beside = Path(inspect.getfile(body)).parent / history
    return str(beside if history and not Path(history).exists() and beside.exists() else history)


def asked_seeds(seeds: int) -> range:
    """The seeds to run: `seeds` from 0, unless the environment asks for others."""
    text = os.environ.get(SEEDS_VARIABLE, "")
    if not text:
        return range(seeds)
    first, colon, last = text.partition(":")
    try:
        return range(int(first), int(last)) if colon else range(int(first))
    except ValueError:
        raise InvalidSettings(
            f"{SEEDS_VARIABLE}={text!r}: give a number of seeds, or first:last as 98:99"
        ) from None
