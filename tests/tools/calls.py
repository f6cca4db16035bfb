"""Which functions of the product are called, in their order, while something runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

Call = tuple[str, str]
"""Module and qualified name, `("moonlet.core.fold", "Fold.advance")`."""


@contextmanager
def noted() -> Iterator[list[Call]]:
    """A list that grows by every call in this thread; a coroutine that goes on counts as one."""
    calls: list[Call] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("moonlet."):
            calls.append((module, frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
