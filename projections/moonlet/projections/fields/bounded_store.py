"""Counters that never fall below zero, even where journals can't reach each other.

After Balegas et al., "Extending Eventually Consistent Cloud Databases for Enforcing Numeric
Invariants" (2015): every journal holds rights, hands some of them to another, spends its own. Each
of these is an event on the journal that gives, admitted there by its compare-and-set; so what a
journal knows of its own rights is never too much.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from moonlet.core.errors import InvalidMessage
from moonlet.projections.fields.store import FieldStore, Row, forged, past_end
from moonlet.projections.values import (
    JOURNAL_MASK,
    SEQUENCE_SHIFT,
    Amount,
    Packed,
    WireAmount,
    from_wire,
    minus,
    order_key,
    plus,
    to_wire,
    total,
)


class Rights(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one journal has granted itself, has spent, and has sent to others, up to `dot`."""

    dot: Packed
    granted: Any = 0
    spent: Any = 0
    sent: dict[int, Any] = {}


class WireRights(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Rights as they leave the process; `sent` ascends by journal."""

    dot: Packed
    granted: WireAmount
    spent: WireAmount
    sent: tuple[tuple[int, WireAmount], ...]


class BoundedStore(FieldStore):
    """Key → journal index → its rights."""

    __slots__ = ("rows",)

    def __init__(self, frontier: list[int]) -> None:
        super().__init__(frontier)
        self.rows: dict[str, dict[int, Rights]] = {}

    def add(
        self, dot: int, key: str, value: tuple[Amount, Amount, int, Amount], cover: Any
    ) -> None:
        """Take in (granted, spent, receiver, sent); the receiver is -1 if nothing is sent."""
        journal = dot & JOURNAL_MASK
        self.fresh[journal][key] = dot >> SEQUENCE_SHIFT
        granted, spent, receiver, sent = value
        row = self.rows.setdefault(key, {})
        old = row.get(journal, Rights(journal))
        given = old.sent
        if receiver >= 0:
            given = {**given, receiver: plus(given.get(receiver, 0), sent)}
        row[journal] = Rights(dot, plus(old.granted, granted), plus(old.spent, spent), given)

    def amount(self, key: str) -> Amount:
        """What is left in all journals together; never below zero.

        A journal that seems to have spent more than it has got was sent rights that haven't been
        seen here yet: it counts as empty, which it is at least.
        """
        journals = range(len(self.frontier))
        return total(max(0, self.available(key, journal)) for journal in journals)

    def available(self, key: str, journal: int) -> Amount:
        """What `journal` may spend or send, as far as this replica has seen."""
        row = self.rows.get(key, {})
        own = row.get(journal, Rights(journal))
        received = total(r.sent.get(journal, 0) for r in self._rights(key))
        left = minus(minus(plus(own.granted, received), own.spent), total(_sent(own)))
        return left

    def _rights(self, key: str) -> list[Rights]:
        row = self.rows.get(key, {})
        return [row[journal] for journal in sorted(row)]

    def keys(self) -> Iterable[str]:
        """Every key that was written."""
        return self.rows.keys()

    # -- bytes -----------------------------------------------------------------------------------

    def section(self, keys: Iterable[str]) -> dict[str, list[WireRights]]:
        """The rights of `keys`, in the order given."""
        return {key: self._out(key) for key in keys if key in self.rows}

    def read_section(self, data: bytes) -> dict[str, list[WireRights]]:
        """Decode a section; raises msgspec's errors."""
        return _read_section(data)

    def rows_of(self, keys: Iterable[str]) -> Iterator[Row]:
        """The rights of `keys` for the database, in the order given."""
        for key in keys:
            yield key, None, msgspec.msgpack.encode(self._out(key))

    def load(self, rows: Iterable[tuple[str, Any, Any]]) -> None:
        """Take back rows; raises msgspec's errors, or `DeltaRefused`."""
        for key, _, state in rows:
            self.rows[key] = self._checked(_read_row(state), self.frontier)

    def _out(self, key: str) -> list[WireRights]:
        return [
            WireRights(
                r.dot,
                to_wire(r.granted),
                to_wire(r.spent),
                tuple((journal, to_wire(r.sent[journal])) for journal in sorted(r.sent)),
            )
            for r in self._rights(key)
        ]

    def _checked(self, wire: Iterable[WireRights], to: Sequence[int]) -> dict[int, Rights]:
        row: dict[int, Rights] = {}
        for r in wire:
            journal = r.dot & JOURNAL_MASK
            if journal >= len(to) or r.dot >> SEQUENCE_SHIFT > to[journal]:
                raise past_end(r.dot, to)
            if journal in row or any(not 0 <= other < len(to) for other, _ in r.sent):
                raise forged("rights name one journal twice, or one that the view doesn't fold")
            try:
                sent = {other: from_wire(amount) for other, amount in r.sent}
                row[journal] = Rights(r.dot, from_wire(r.granted), from_wire(r.spent), sent)
            except InvalidMessage as error:
                raise forged(str(error)) from None
        return row

    # -- joining ---------------------------------------------------------------------------------

    def plan(
        self, section: dict[str, list[WireRights]], to: Sequence[int], full: bool
    ) -> dict[str, Any]:
        """The keys whose rights change: of each journal the newer ones hold."""
        plan: dict[str, Any] = {}
        for key, wire in section.items():
            mine = self.rows.get(key, {})
            merged = dict(mine)
            for journal, theirs in self._checked(wire, to).items():
                own = mine.get(journal)
                if own is not None and own.dot == theirs.dot and not _is_same(own, theirs):
                    raise forged(f"{key!r} has two kinds of rights at one dot")
                if own is None or theirs.dot > own.dot:
                    merged[journal] = theirs
            if merged != mine:
                plan[key] = merged
        return plan

    def join(self, plan: dict[str, Any], section: Any, moved: Sequence[int]) -> None:
        """Carry out a plan."""
        self.rows.update(plan)
        self.mark(section, moved)


def _sent(rights: Rights) -> list[Amount]:
    return [rights.sent[journal] for journal in sorted(rights.sent)]


def _is_same(a: Rights, b: Rights) -> bool:
    return (
        order_key(a.granted) == order_key(b.granted)
        and order_key(a.spent) == order_key(b.spent)
        and a.sent == b.sent
    )


_read_row: Final = msgspec.msgpack.Decoder(list[WireRights]).decode
_read_section: Final = msgspec.msgpack.Decoder(dict[str, list[WireRights]]).decode
