"""Marks in the code that only a simulated run takes up: everywhere else they do nothing.

`buggify("name")` asks whether to take a rare turn that is allowed at any time; `reached("name")`
says that something rare happened, so that a search can tell whether it ever did. The idea is
FoundationDB's (`BUGGIFY`, `TEST`). Names are literals, and say what happens there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Observer(Protocol):
    """Who takes up the marks of a run."""

    def buggify(self, name: str) -> bool:
        """Whether the rare turn is taken now."""
        ...

    def reached(self, name: str) -> None:
        """That place was come to."""
        ...


_observer: Observer | None = None


def buggify(name: str) -> bool:
    """Whether to take the rare turn of that name; False outside a simulated run."""
    return _observer is not None and _observer.buggify(name)


def reached(name: str) -> None:
    """Something rare happened; nothing outside a simulated run."""
    if _observer is not None:
        _observer.reached(name)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Let `observer` take up the marks of this process until the end of the block."""
    global _observer
    before, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = before
