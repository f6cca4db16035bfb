# mypy: ignore-missing-imports
"""The same work in loro (Rust): one commit for each write, or for every so many."""

from collections.abc import Sequence
from typing import Any

from loro import ExportMode, LoroDoc

Write = tuple[str, str | None]
"""A key and its new value; None deletes it."""


class Replica:
    """One document with one map."""

    def __init__(self) -> None:
        self.doc: Any = LoroDoc()  # type: ignore[no-untyped-call, unused-ignore]
        self.map = self.doc.get_map("map")

    def write(self, writes: Sequence[Write], *, batch: int = 1) -> None:
        """A commit after every `batch` writes."""
        doc, entries = self.doc, self.map
        for number, (key, value) in enumerate(writes, 1):
            if value is None:
                entries.delete(key)
            else:
                entries.insert(key, value)
            if number % batch == 0:
                doc.commit()

    def vector(self) -> Any:
        """What it has seen."""
        return self.doc.oplog_vv

    def since(self, vector: Any) -> bytes:
        """What is new since then."""
        return bytes(self.doc.export(ExportMode.Updates(vector)))

    def join(self, update: bytes) -> None:
        """Take in another's."""
        self.doc.import_(update)
