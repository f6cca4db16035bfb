"""A simulated test as a value, and one run of it: a seed, or a plan of faults, in; a `Run` out."""

from __future__ import annotations

import contextlib
import gc
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from moonlet.agents import AgentType
from moonlet.core.digest import state_digest
from moonlet.core.marks import observed
from moonlet.simulations.bundle import Bundle, opened
from moonlet.simulations.checkers import CHECKERS
from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.errors import Escape
from moonlet.simulations.faults import Fault, FaultSet, Marks, Plan, Profile, draw_profile
from moonlet.simulations.run import SimulationRun
from moonlet.simulations.seed import Seed
from moonlet.simulations.trace import Trace
from moonlet.simulations.violations import Violation
from moonlet.simulations.world import World
from moonlet.streams import Topology
from moonlet.telemetry import levels, restore_levels

Body: TypeAlias = Callable[..., Awaitable[None]]

Halt: TypeAlias = tuple[int, Callable[[World], object]]

COLLECT_EVERY: Final = 25
"""Runs of a process after which what they left is collected; it takes some milliseconds."""

_uncollected = 0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`body(world)` in worlds with these hosts, agents and faults.

    `replicas` are the kinds of server to draw from: 1 for one server, 3 for a cluster. `lease` is
    the hosts' in whole seconds. `journals` are a topology's, one for all types if there are none.
    `history` is the path of a bundle that worlds start from. `name` is `module:function`.
    """

    name: str
    body: Body
    agents: tuple[AgentType[Any], ...]
    faults: FaultSet
    hosts: int = 3
    horizon: Duration = "20s"
    heal_within: Duration = "120s"
    replicas: tuple[int, ...] = (1, 3)
    lease: int = 2
    journals: dict[str, list[str]] = {}
    history: str = ""

    def run(
        self,
        seed: int,
        *,
        plan: Sequence[Fault] | Plan | None = None,
        profile: Profile | None = None,
        trace: Trace | None = None,
        listen: bool = False,
        halt: Halt | None = None,
        keep: bool = False,
    ) -> Run:
        """One run. `plan` replaces the seed's faults, `profile` its profile.

        `listen` keeps what messages there were to hit. `halt` is (a moment in nanoseconds, what to
        call with the world before its clock goes beyond it): `Halted`, raised there, becomes the
        error of the run. `keep` keeps what the server held at the end. Never raises what the run
        fails with; `InvalidSettings` and `Corrupt` for a history that these agents can't continue.
        """
        history = opened(self.history, self.agents) if self.history else None
        watched = not isinstance(plan, Plan)  # a trunk's forks
        simulation = SimulationRun(seed, strict=self.agents, trace=trace, watched=watched)
        if profile is None:
            profile = draw_profile(Seed(seed), self.faults, self.hosts, self.replicas)
        faults = plan if isinstance(plan, Plan) else Plan(simulation.seed, profile, plan)
        marks = Marks(simulation.loop, simulation.seed, faults)
        told = _Told(keep=keep)
        if history is not None:
            simulation.loop.epoch_ns = history.taken

        async def main() -> None:
            world = World(
                simulation,
                self.agents,
                hosts=self.hosts,
                profile=profile,
                plan=faults,
                horizon=self.horizon,
                heal_within=self.heal_within,
                lease=self.lease,
                topology=self._topology(profile.servers, history),
                history=history,
            )
            if listen:
                world.network.sent = marks.asked = []
            if halt is not None:
                simulation.loop.halt_at(halt[0], lambda: halt[1](world))
            await self._play(world, told)

        error: BaseException | None = None
        try:
            with _silenced(), observed(marks):
                simulation.run(main, is_last=faults.is_last)
        except Exception as raised:
            error = raised
        _collect_now_and_then()
        return Run(
            scenario=self,
            seed=seed,
            profile=profile,
            error=told.first(error, simulation.loop.escapes),
            plan=faults,
            trace=simulation.trace,
            virtual_ns=simulation.loop.now_ns,
            began_ns=told.began_ns,
            commits=told.commits,
            messages=told.messages,
            reached=marks.places,
            drawn=told.drawn,
            held=told.held,
        )

    async def _play(self, world: World, told: _Told) -> None:
        try:
            await world.phases.boot()
            await self.body(world)
            await world.phases.settle()
            check(world)
        finally:
            told.take(world)

    def _topology(self, servers: int, history: Bundle | None) -> Topology:
        if history is not None:
            return msgspec.structs.replace(history.topology, replicas=servers)
        topology = Topology(replicas=servers)
        if self.journals:
            topology = msgspec.structs.replace(topology, journals=self.journals)
        return topology

    @property
    def horizon_ns(self) -> int:
        """The horizon in nanoseconds."""
        return nanoseconds(self.horizon)


class _Told:
    """What is kept of a world, which itself is garbage before the next one is made."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self.held: Bundle | None = None
        self.violations: list[Violation] = []
        self.began_ns = self.commits = self.drawn = 0
        self.messages: list[tuple[str, str, int, tuple[str, ...], int]] = []

    def take(self, world: World) -> None:
        """At its end, however it ended."""
        world.network.note_packets()
        self.violations = world.violations
        self.began_ns = world.phases.began_ns
        self.commits = world.chronicle.commits
        self.messages = world.network.sent or []
        self.drawn = world.workload.count
        if self._keep:
            self.held = world.held()

    def first(self, error: BaseException | None, escapes: list[Escape]) -> BaseException | None:
        """What the run fails with: what came of an escape (a parked command, say) is no finding."""
        return next(iter([*escapes, *self.violations]), error)


class Run(msgspec.Struct):
    """What one run came to. `messages` are (node, key, try, kinds that may hit it, ns).

    `reached` counts the marks of that name that the code came to, `drawn` is how many commands
    the workload drew. `held` is what the server held at the end, if that was asked for.
    """

    scenario: Scenario
    seed: int
    profile: Profile
    error: BaseException | None
    plan: Plan
    trace: Trace
    virtual_ns: int
    began_ns: int
    commits: int
    messages: list[tuple[str, str, int, tuple[str, ...], int]]
    reached: dict[str, int]
    drawn: int
    held: Bundle | None = None

    def check(self) -> None:
        """Raise what the run failed with."""
        if self.error is not None:
            raise self.error

    @property
    def digest(self) -> str:
        """The digest of its trace."""
        return self.trace.digest

    @property
    def hits(self) -> list[Fault]:
        """The faults that fired, in order."""
        return self.plan.hits

    @property
    def failure(self) -> str:
        """What tells this failure from another: its class, and the promise or place; '' if none."""
        if self.error is None:
            return ""
        kind = type(self.error).__name__
        promise = getattr(self.error, "promise", "")
        return f"{kind} {promise}" if promise else f"{kind} {self._place()}"

    def _place(self) -> str:
        frames = traceback.extract_tb(self.error.__traceback__) if self.error is not None else []
        inside = [f for f in frames if f.filename != __file__]
        return inside[-1].name if inside else ""


def _collect_now_and_then() -> None:
    """Let go of the loops of earlier runs: circles, which hold their traces.

    The collector hardly ever comes by itself, since runs keep it away: 2,000 seeds held 750 MB.
    """
    global _uncollected
    _uncollected += 1
    if _uncollected >= COLLECT_EVERY:
        collect()


def collect() -> None:
    """Let go of what earlier runs left, and count from here."""
    global _uncollected
    _uncollected = 0
    gc.collect()


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """No log lines: in a world full of faults, warnings are what is expected."""
    before = levels()
    restore_levels({"": logging.CRITICAL})
    try:
        yield
    finally:
        restore_levels(before)


def check(world: World) -> None:
    """Let every checker look at the settled world; raises the first `Violation`."""
    for agent, state in sorted(world.chronicle.states().items()):
        world.note("state", agent, state_digest(state))
    for checker in CHECKERS:
        for promise, what in checker(world):
            raise Violation(promise, what, world.loop.now_ns)
