"""What makes a simulated run worthless or wrong, apart from the checked promises; or ends it.

Outside the tree of `MoonletError` on purpose: code under test that handles the errors of the
framework must not handle these.
"""

from collections.abc import Sequence

from moonlet.simulations.durations import shown


class SimulationError(Exception):
    """The base of the errors of the simulator itself."""


class Escape(SimulationError):
    """Code in a run reached for the real world: `call`, `where` (file:line function), `remedy`.

    It is recorded too, so a run whose code swallows it fails all the same. `promise` tells one
    from another.
    """

    def __init__(self, call: str, where: str, remedy: str) -> None:
        super().__init__(f"{call} leaves the simulation, at {where}. Instead: {remedy}")
        self.call = self.promise = call
        self.where = where
        self.remedy = remedy


class Impure(Escape):
    """A handler asked for time or chance; virtual or not, a replay would have another answer.

    `handler` names it.
    """

    def __init__(self, call: str, where: str, remedy: str, handler: str) -> None:
        super().__init__(call, where, remedy)
        self.args = (f"{call} in {handler}, at {where}: a replay would differ. Instead: {remedy}",)
        self.handler = handler


class EndlessStep(Escape):
    """A step did not end: `call` says of what, `where` in which line it was found."""

    def __init__(self, what: str = "a step", where: str = "", seconds: float = 0.0) -> None:
        super().__init__(what, where, "")
        self.args = (f"{what} has not ended after {seconds:.0f} s of processor time, at {where}",)


class Halted(SimulationError):
    """No failure: the run was to go no further than `at_ns`."""

    def __init__(self, at_ns: int) -> None:
        super().__init__(f"stopped at t={shown(at_ns)}, as asked")
        self.at_ns = at_ns


class Deadlock(SimulationError):
    """Nothing can ever run again: `waiting` has a line per unfinished task, in creation order."""

    def __init__(self, at_ns: int, waiting: Sequence[str]) -> None:
        lines = "".join(f"\n  {line}" for line in waiting) or "\n  (no task is left)"
        super().__init__(
            f"nothing can ever run again after t={at_ns / 1e9:.9f}s: no timer is set and nothing "
            f"is ready. Give each wait a timeout, or somebody who ends it. Waiting:{lines}"
        )
        self.at_ns = at_ns
        self.waiting = tuple(waiting)


class Livelock(SimulationError):
    """The clock stands still while steps go on: `busiest` has (task, its share in percent)."""

    def __init__(self, at_ns: int, steps: int, busiest: Sequence[tuple[str, int]]) -> None:
        names = ", ".join(f"{name} {share} %" for name, share in busiest)
        super().__init__(
            f"{steps:,} steps at t={at_ns / 1e9:.9f}s without the clock moving. Busiest: {names}. "
            f"A loop that polls must sleep for more than 0 s, and compare times with >=."
        )
        self.at_ns = at_ns
        self.steps = steps
        self.busiest = tuple(busiest)


class SilentDeath(SimulationError):
    """A background task or callback raised and nobody asked: `deaths` has a line for each."""

    def __init__(self, deaths: Sequence[str]) -> None:
        lines = "".join(f"\n  {line}" for line in deaths)
        super().__init__(
            f"died unseen: {len(deaths)}. Await each task, or keep it in a TaskGroup:{lines}"
        )
        self.deaths = tuple(deaths)


class Diverged(SimulationError):
    """Two runs of one seed differ; `step` is the first differing step known (from 0)."""

    def __init__(self, step: int, difference: str) -> None:
        super().__init__(
            f"one seed, two traces: they part at step {step:,}. {difference} Something reads what "
            f"no seed decides: an address, the hash of a string, state that an earlier run left."
        )
        self.step = step
        self.difference = difference
