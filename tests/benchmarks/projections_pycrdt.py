# mypy: ignore-missing-imports
"""The same work in pycrdt (Yjs in Rust): one transaction for each write."""

from collections.abc import Sequence
from typing import Any

from pycrdt import Doc, Map

Write = tuple[str, str | None]
"""A key and its new value; None deletes it."""


class Replica:
    """One document with one map."""

    def __init__(self) -> None:
        self.doc: Any = Doc()
        self.map: Any = self.doc.get("map", type=Map)

    def write(self, writes: Sequence[Write]) -> None:
        """One transaction each."""
        entries = self.map
        for key, value in writes:
            if value is None:
                del entries[key]
            else:
                entries[key] = value

    def state(self) -> bytes:
        """All of it."""
        update: bytes = self.doc.get_update()
        return update

    def vector(self) -> bytes:
        """What it has seen."""
        vector: bytes = self.doc.get_state()
        return vector

    def since(self, vector: bytes) -> bytes:
        """What is new since then."""
        update: bytes = self.doc.get_update(vector)
        return update

    def join(self, update: bytes) -> None:
        """Take in another's."""
        self.doc.apply_update(update)
