"""What the stores of all fields share: the frontier, and which keys changed at which sequence.

The index key → last change per journal answers "what is new since this frontier?" exactly. It is
bounded, and it is never a matter of correctness: below its floor the answer is the full state.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from moonlet.projections.errors import DeltaRefused

Row = tuple[Any, int | bytes]
"""A row of the database. Most entries are one value at one dot: (value, dot), both plain for SQL.

All others are (None, bytes), and what SQL shows as the value is worked out from them.
"""


class Store:
    """Base of the stores of one view's fields; they share one `frontier`, changed in place.

    A subclass folds by `put`, `remove`, `add` as its type has them, each (dot, key, value, cover),
    and none of those can fail: what they are given was checked.
    """

    __slots__ = ("fresh", "frontier", "index", "unsaved")

    def __init__(self, frontier: list[int]) -> None:
        self.frontier = frontier
        self.fresh: list[dict[str, int]] = [{} for _ in frontier]
        self.index: list[dict[str, int]] = [{} for _ in frontier]
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

    def row(self, key: str) -> Row | None:
        """The entry of a key for the database; None if there is nothing to keep."""
        raise NotImplementedError

    def load(self, rows: Iterable[tuple[str, Any, Any]]) -> None:
        """Take back rows as (key, value, state), the frontier being there already.

        Raises msgspec's errors, `TypeError` or `DeltaRefused` at the row that can't be read.
        """
        raise NotImplementedError

    # -- the index of changes --------------------------------------------------------------------

    def settle(self) -> None:
        """Take the fresh changes into the index, and into `unsaved`."""
        for fresh, index in zip(self.fresh, self.index, strict=True):
            if not fresh:
                continue
            # Oldest first, so that `touched` may stop at the first that is old enough.
            for key, sequence in sorted(fresh.items(), key=itemgetter(1)):
                index.pop(key, None)
                index[key] = sequence
            if self.unsaved is not None:
                self.unsaved.update(fresh)
            fresh.clear()

    def touched(self, since: Sequence[int]) -> set[str]:
        """Keys that a commit after `since` touched. Settle first."""
        found: set[str] = set()
        for index, sequence in zip(self.index, since, strict=True):
            for key in reversed(index):
                if index[key] <= sequence:
                    break
                found.add(key)
        return found

    def mark(self, keys: Iterable[str], moved: Sequence[int]) -> None:
        """Note a join of `keys`, up to the frontier, in every journal that moved."""
        for journal in moved:
            marked = dict.fromkeys(keys, self.frontier[journal])
            if self.fresh[journal]:
                self.fresh[journal].update(marked)
            else:
                self.fresh[journal] = marked

    def forget(self, journal: int, count: int) -> int:
        """Drop the `count` oldest changes of a journal; returns the newest sequence dropped."""
        index = self.index[journal]
        newest = 0
        for key in list(_first(index, count)):
            newest = max(newest, index.pop(key))
        return newest


def _first(keys: Iterable[str], count: int) -> Iterator[str]:
    for number, key in enumerate(keys):
        if number == count:
            return
        yield key


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
