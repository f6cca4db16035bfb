"""A calm run that forks where a fault would strike: the child is the run that this fault hurts.

All plans share the calm run up to there, so it is run once for all of them. A child of the trunk
(a branch) goes on to the end of its run, says what came of it, and never forks itself.
"""

from __future__ import annotations

import gc
import os
import random
import signal
from asyncio import TimerHandle, events
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from moonlet.simulations.faults import WIRE, Fault, Plan, Profile
from moonlet.simulations.guard import active_judge
from moonlet.simulations.scenario import Run
from moonlet.simulations.seed import Seed

TEXT_KEPT: Final = 4_000
"""Characters of an error's text: an outcome must fit into a pipe that nobody reads yet."""


class BranchOutcome(msgspec.Struct, frozen=True, order=True):
    """What came of plan `number`, by which they sort: see `Run.failure`; `text` is its error's.

    A run without a result (its process was killed) has no digest, and its failure says why.
    """

    number: int
    failure: str
    text: str = ""
    digest: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether the run came to no end."""
        return not self.digest


def outcome_of(number: int, run: Run) -> BranchOutcome:
    """The outcome of a run."""
    text = "" if run.error is None else str(run.error)[:TEXT_KEPT]
    return BranchOutcome(number, run.failure, text, run.digest)


class Trunk(Plan):
    """The plan of a calm run that tries all of `plans`, each in a branch, `jobs` at a time.

    `tell` gets the outcomes as branches end. In a branch `scenario.run` returns too: there
    `branch` is (the number of its plan, the pipe for its outcome), and None in the trunk.
    """

    def __init__(
        self,
        seed: Seed,
        profile: Profile,
        plans: Sequence[tuple[Fault, ...]],
        *,
        jobs: int,
        tell: Callable[[BranchOutcome], None],
    ) -> None:
        super().__init__(seed, profile, ())
        self.branch: tuple[int, int] | None = None
        self._seed_and_profile = seed, profile
        self._plans = plans
        self._jobs = jobs
        self._tell = tell
        self._forked: set[int] = set()
        self._growing: dict[int, tuple[int, int]] = {}  # process → (plan's number, pipe)
        self._timed: dict[Fault, list[int]] = {}
        self._hits_of: dict[tuple[str, str, int], list[tuple[Fault, int]]] = {}
        for number, plan in enumerate(plans):
            for fault in plan:
                if fault.kind in WIRE:
                    where = fault.target, fault.key, fault.attempt
                    self._hits_of.setdefault(where, []).append((fault, number))
                else:
                    self._timed.setdefault(fault, []).append(number)

    def begin(self, now_ns: int, horizon_ns: int, hosts: Sequence[str]) -> list[Fault]:
        """See `Plan.begin`: the faults of all plans, each of which may strike."""
        super().begin(now_ns, horizon_ns, hosts)
        return sorted(self._timed)

    def strikes(self, fault: Fault) -> bool:
        """See `Plan.strikes`: in the trunk none does."""
        if self.branch is None:
            return self._fork_for(self._timed[fault])
        return fault in self._plans[self.branch[0]]

    def verdict(
        self, kinds: tuple[str, ...], node: str, key: str, attempt: int, chance: int, now_ns: int
    ) -> Fault | None:
        """See `Plan.verdict`: in the trunk nothing is hit."""
        if self.branch is None and not self.over:
            found = self._hits_of.get((node, key, attempt))
            if found is not None:
                self._fork_for([number for fault, number in found if fault.kind in kinds])
        return super().verdict(kinds, node, key, attempt, chance, now_ns)

    def is_last(self) -> bool:
        """See `Plan.is_last`: a branch's is."""
        return self.branch is not None

    def end(self) -> None:
        """Wait for all branches."""
        while self._growing:
            self._reap()

    def _fork_for(self, numbers: Sequence[int]) -> bool:
        """Fork for each of these plans that has no branch yet; True in a branch."""
        return any(self._fork(number) for number in numbers if number not in self._forked)

    def _fork(self, number: int) -> bool:
        judge = active_judge()
        assert judge is not None, "a trunk is the plan of a run"
        self._forked.add(number)
        with judge.lifted():
            while len(self._growing) >= self._jobs:
                self._reap()
            reader, writer = os.pipe()
            chance = random.getstate()
            trunk = os.getpid()
            gc.freeze()  # a collection in the branch leaves alone what it shares with the trunk
            process = os.fork()
            if process:
                os.close(writer)
                self._growing[process] = number, reader
                return False
            stay_with(trunk)
            random.setstate(chance)  # Python gave the child another one
            events._set_running_loop(judge.loop)  # and no running loop
        self.branch = number, writer
        super().__init__(*self._seed_and_profile, self._plans[number])
        self.over = False
        judge.loop.keep_timers(self._may_fire)  # to let each come and do nothing takes 2 ms
        return True

    def _may_fire(self, timer: TimerHandle) -> bool:
        """Whether it is no timer of another plan's fault."""
        args: Sequence[object] = timer._args or (None,)
        return not isinstance(args[0], Fault) or self.strikes(args[0])

    def _reap(self) -> None:
        """Wait for the next branch that ends, and tell what came of it."""
        process, status = os.waitpid(-1, 0)
        number, reader = self._growing.pop(process)
        with os.fdopen(reader, "rb") as pipe:
            told = pipe.read()
        if status or not told:
            self._tell(BranchOutcome(number, f"no result: {ending(status)}"))
        else:
            self._tell(msgspec.json.decode(told, type=BranchOutcome))


def ending(status: int) -> str:
    """How a process ended, of what `waitpid` says."""
    code = os.waitstatus_to_exitcode(status)
    return f"its process ended with {code if code >= 0 else signal.Signals(-code).name}"


LOOK_EVERY: Final = 1.0
"""Seconds after which a process notices that its parent is gone."""


def stay_with(parent: int) -> None:
    """From now on end this process, and its group, when its parent ends, `kill -9` included."""

    def look(*_: object) -> None:
        judge = active_judge()
        if judge is None:
            _end_without(parent)
        else:
            with judge.lifted():
                _end_without(parent)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY, LOOK_EVERY)


def _end_without(parent: int) -> None:
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)
