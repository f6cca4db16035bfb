"""What the stores of all fields share: the frontier, and which keys changed at which sequence.

The index of changes answers "what is new since this frontier?" exactly. It is bounded, and it is
never a matter of correctness: below its floor the answer is the full state.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from moonlet.projections.errors import DeltaRefused
from moonlet.projections.fields.changes import Changes

Row = tuple[str, Any, int | bytes | None]
"""A row of the database. Most are (key, value, dot): one value at one dot, both plain for SQL.

All others are (key, None, bytes), and what SQL shows as the value is worked out from them; or
(key, None, None) if there is nothing to keep.
"""


class FieldStore:
    """Base of the stores of one view's fields; they share one `frontier`, changed in place.

    A subclass folds by `put`, `remove`, `add` as its type has them, each (dot, key, value, cover),
    and none of those can fail: what they are given was checked.
    """

    __slots__ = ("fresh", "frontier", "index", "unsaved")

    def __init__(self, frontier: list[int]) -> None:
        self.frontier = frontier
        self.fresh: list[dict[str, int]] = [{} for _ in frontier]
        self.index = [Changes() for _ in frontier]
        self.unsaved: set[str] | None = None
        """Keys changed since the last save; None while nobody saves."""

    # -- what a store of one type does -----------------------------------------------------------

    def passed(self, journal: int) -> None:
        """Forget what the frontier of `journal` has passed."""

    def seen(self, key: str) -> list[tuple[int, Any]]:
        """What a token of this key holds: the newest dot per journal, and the total there."""
        return []

    def cover(self, seen: Iterable[tuple[int, Any]]) -> Any:
        """What a token's dots cover, as `put` and `remove` take it."""
        return None

    def keys(self) -> Iterable[str]:
        """Keys that have an entry, in no order."""
        raise NotImplementedError

    def section(self, keys: Iterable[str]) -> Any:
        """The complete entries of `keys`, in the order given: a field's part of a delta."""
        raise NotImplementedError

    def read_section(self, data: bytes) -> Any:
        """Decode a section; raises msgspec's errors, or `DeltaRefused`."""
        raise NotImplementedError

    def plan(self, section: Any, to: Sequence[int], full: bool) -> dict[str, Any]:
        """What joining would change: key → new entry. Raises `DeltaRefused`, changes nothing.

        `to` is the sender's whole frontier; `full`: keys that the section leaves out are empty.
        """
        raise NotImplementedError

    def join(self, plan: dict[str, Any], section: Any, moved: Sequence[int]) -> None:
        """Carry out a plan. The frontier was raised before; `moved` are the journals it rose in."""
        raise NotImplementedError

    def rows_of(self, keys: Iterable[str]) -> Iterator[Row]:
        """The rows of `keys` for the database, in the order given."""
        raise NotImplementedError

    def load(self, rows: Iterable[tuple[str, Any, Any]]) -> None:
        """Take back rows as (key, value, state), the frontier being there already.

        Raises msgspec's errors, `TypeError` or `DeltaRefused` at the row that can't be read.
        """
        raise NotImplementedError

    # -- the index of changes --------------------------------------------------------------------

    def settle(self) -> int:
        """Take the fresh changes into the index and into `unsaved`; returns the index's length."""
        length = 0
        for journal, changes in enumerate(self.index):
            if self.fresh[journal]:
                self._settle(journal)
            length += len(changes.keys)
        return length

    def _settle(self, journal: int) -> None:
        fresh = self.fresh[journal]
        self.index[journal].add(fresh)
        if self.unsaved is not None:
            self.unsaved.update(fresh)
        fresh.clear()

    def touched(self, since: Sequence[int]) -> set[str]:
        """Keys that a commit after `since` touched. Settle first."""
        found: set[str] = set()
        for changes, sequence in zip(self.index, since, strict=True):
            if changes.keys:
                found.update(changes.since(sequence))
        return found

    def mark(self, keys: Collection[str], moved: Sequence[int]) -> None:
        """Note a join of `keys`, up to the frontier, in every journal that moved."""
        if not keys:
            return
        for journal in moved:
            if self.fresh[journal]:
                self._settle(journal)
            self.index[journal].add_all(keys, self.frontier[journal])
        if moved and self.unsaved is not None:
            self.unsaved.update(keys)

    def compact(self) -> int:
        """Keep one change of each key in each journal; returns the index's length."""
        for changes in self.index:
            changes.compact()
        return sum(map(len, self.index))


def forged(what: str) -> DeltaRefused:
    """The error for content that no replica of this view could have sent."""
    return DeltaRefused(
        f"{what}: no replica of this view can have sent that; find out who publishes on the"
        " view's subjects",
        fault="forged",
    )


def past_end(dot: int, to: Sequence[int]) -> DeltaRefused:
    """The error for a dot outside the sender's own frontier."""
    return forged(f"the dot {dot:#x} is past the delta's own frontier {list(to)}")
