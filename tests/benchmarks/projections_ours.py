"""The views that the rows about projections fold, and writes to them without handlers.

Rows against other libraries write to a field's store, which is what those libraries do: no commit,
no JSON, no handler. Rows of their own show what a whole fold costs.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlet.core.commit import Command, Commit, Event
from moonlet.core.hlc import Timestamp
from moonlet.projections import (
    At,
    AWSet,
    Fields,
    JournalId,
    MVRegister,
    ORMap,
    View,
    ViewState,
    apply_delta,
    make_delta,
)
from moonlet.projections.values import SEQUENCE_SHIFT

Write = tuple[str, str | None]
"""A key and its new value; None deletes it."""

JOURNALS = [JournalId(name, "2026-01-01T00:00:00Z+0") for name in ("asia", "eu", "us")]


class Wrote(msgspec.Struct, frozen=True):
    key: str
    value: str


map_view = View("prices", version=1, map=ORMap[MVRegister])
set_view = View("alerts", version=1, set=AWSet)


@map_view.on_event
def wrote(view: Fields, event: Wrote, at: At) -> None:
    view.map[event.key].set(event.value)


def commits(writes: Sequence[tuple[str, str]], start: int = 1) -> list[Commit[Any]]:
    """One commit for each write, as a replica reads it: its body still JSON."""
    return [
        Commit(
            agent="oracle/main",
            revision=number,
            outcome="accepted",
            command=Command("c", "Write", msgspec.Raw(b"{}")),
            time=Timestamp(number),
            sequence=number,
            events=(Event("Wrote", msgspec.Raw(msgspec.json.encode(Wrote(*write)))),),
        )
        for number, write in enumerate(writes, start)
    ]


class Replica:
    """One replica of a view with one field, near one of its journals."""

    def __init__(
        self, view: View, journal: int = 0, *, journals: Sequence[JournalId] = JOURNALS
    ) -> None:
        self.state = ViewState(view, journals)
        self.journal = journal
        (self.store,) = self.state.stores.values()

    @property
    def store_rows(self) -> dict[str, Any]:
        """What the store holds, to be damaged."""
        store: Any = self.store
        rows: dict[str, Any] = store.rows
        return rows

    def write(self, writes: Sequence[Write]) -> None:
        """Each is an event of its own, which replaces what its journal wrote before."""
        store: Any = self.store
        put, vector, journal = store.put, self.state.vector, self.journal
        number = vector[journal]
        for key, value in writes:
            number += 1
            vector[journal] = number
            put(number << SEQUENCE_SHIFT | journal, key, value, None)

    def write_settled(self, writes: Sequence[Write]) -> None:
        """The same in batches of 1,000, after each of which the index of changes is brought up."""
        for start in range(0, len(writes), 1_000):
            self.write(writes[start : start + 1_000])
            self.state.settle()

    def write_everywhere(self, writes: Sequence[Write]) -> None:
        """The same, by one journal after the other."""
        journal = self.journal
        for start in range(0, len(writes), 1_000):
            self.journal = start // 1_000 % len(self.state.journals)
            self.write(writes[start : start + 1_000])
            self.state.settle()
        self.journal = journal

    def write_seen(self, writes: Sequence[Write]) -> None:
        """Each is an event of its own, which replaces or removes what is here."""
        store: Any = self.store
        put, remove, vector, journal = store.put, store.remove, self.state.vector, self.journal
        cover, seen = store.cover, store.seen
        number = vector[journal]
        for key, value in writes:
            number += 1
            vector[journal] = number
            write = remove if value is None else put
            write(number << SEQUENCE_SHIFT | journal, key, value, cover(seen(key)))

    def state_bytes(self) -> bytes:
        """The full state."""
        return make_delta(self.state)

    def since(self, other: "Replica") -> bytes:
        """What is new to another."""
        return make_delta(self.state, other.state.frontier)

    def join(self, delta: bytes) -> None:
        """Take in another's."""
        assert apply_delta(self.state, delta)
