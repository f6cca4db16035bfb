"""What a planted fault is."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One planted fault: `changes` are (file, old text, new text); `test` must fail under it."""

    promise: str
    test: str
    what: str
    changes: tuple[tuple[str, str, str], ...]
