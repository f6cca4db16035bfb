"""What a simulation fails with: a broken promise, or something that never came."""

from collections.abc import Sequence

from moonlet.simulations.durations import Duration, shown


class Violation(AssertionError):
    """A promise is broken at `at_ns`; `promise` names it, to tell one failure from another."""

    def __init__(self, promise: str, what: str, at_ns: int = 0) -> None:
        super().__init__(f"{promise}: {what} (t={shown(at_ns)})")
        self.promise = promise
        self.what = what
        self.at_ns = at_ns


class NotReached(AssertionError):
    """What had to come did not, within virtual time; `waiting` says who waits for what."""

    def __init__(self, what: str, within: Duration, waiting: Sequence[str] = ()) -> None:
        length = within if isinstance(within, str) else f"{within:g}s"
        lines = "".join(f"\n  {line}" for line in waiting)
        super().__init__(f"not reached within {length}: {what}{lines}")
        self.promise = "liveness"
        self.what = what
        self.waiting = tuple(waiting)
