"""Counters: what each journal has added, as a total stamped with the dot that last changed it.

Joining takes the newer total of each journal, so nothing is added twice and no set of ids is
kept. A reset can't drop a total (a replica behind it may still bring additions), so it records
what it saw of each as a base; additions that it didn't see survive it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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

Cover = Mapping[int, tuple[int, Amount]]
"""Journal index → the newest dot seen there, and the journal's total at it."""


class JournalPart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One journal's part of a counter: its total at `dot`, of which `base` was reset at `reset`.

    A part that was reset before any of it was seen has a dot of sequence 0.
    """

    dot: Packed
    total: Any = 0
    reset: Packed = 0
    base: Any = 0

    @property
    def amount(self) -> Amount:
        """What the part adds to the counter's value."""
        return minus(self.total, self.base) if self.dot >= self.reset else 0

    @property
    def is_live(self) -> bool:
        """Whether something was added since the reset."""
        if self.dot == self.reset:
            return bool(self.total != self.base)
        return self.dot > self.reset


class WirePart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part as it leaves the process."""

    dot: Packed
    total: WireAmount
    reset: Packed
    base: WireAmount


class CounterSection(msgspec.Struct, array_like=True):
    """Keys with one journal's part, and keys with several, ascending by journal."""

    ones: dict[str, WirePart]
    many: dict[str, tuple[WirePart, ...]]


class CounterStore(FieldStore):
    """Key → one part, or a tuple of them in the order of the journals."""

    __slots__ = ("rows",)

    def __init__(self, frontier: list[int]) -> None:
        super().__init__(frontier)
        self.rows: dict[str, Any] = {}

    # -- folding ---------------------------------------------------------------------------------

    def add(self, dot: int, key: str, amount: Amount, cover: Any) -> None:
        """Add to the part of the dot's journal."""
        journal = dot & JOURNAL_MASK
        self.fresh[journal][key] = dot >> SEQUENCE_SHIFT
        old = self.rows.get(key)
        if old is None:
            self.rows[key] = JournalPart(dot, amount)
        elif type(old) is JournalPart and old.dot & JOURNAL_MASK == journal:
            self.rows[key] = JournalPart(dot, plus(old.total, amount), old.reset, old.base)
        else:
            part = self._part(key, journal)
            self._replace(key, JournalPart(dot, plus(part.total, amount), part.reset, part.base))

    def remove(self, dot: int, key: str, value: None, cover: Cover | None) -> None:
        """Set back what `cover` names; without one, what the dot's own journal has added."""
        journal = dot & JOURNAL_MASK
        self.fresh[journal][key] = dot >> SEQUENCE_SHIFT
        if cover is None:
            part = self._part(key, journal)
            cover = {journal: (part.dot, part.total)} if part.dot >> SEQUENCE_SHIFT else {}
        for other, (reset, base) in cover.items():
            part = self._part(key, other)
            if _is_newer(reset, base, part.reset, part.base):
                self._replace(key, JournalPart(part.dot, part.total, reset, base))

    def _part(self, key: str, journal: int) -> JournalPart:
        for part in self.parts(key):
            if part.dot & JOURNAL_MASK == journal:
                return part
        return JournalPart(journal)

    def _replace(self, key: str, part: JournalPart) -> None:
        journal = part.dot & JOURNAL_MASK
        parts = [p for p in self.parts(key) if p.dot & JOURNAL_MASK != journal]
        self._set(key, [*parts, part])

    def _set(self, key: str, parts: list[JournalPart]) -> None:
        parts.sort(key=lambda part: part.dot & JOURNAL_MASK)
        self.rows[key] = parts[0] if len(parts) == 1 else tuple(parts)

    # -- reading ---------------------------------------------------------------------------------

    def parts(self, key: str) -> tuple[JournalPart, ...]:
        """The parts of a key in the order of the journals; none if it is absent."""
        entry = self.rows.get(key)
        if entry is None:
            return ()
        return entry if type(entry) is tuple else (entry,)

    def amount(self, key: str) -> Amount:
        """The value of a key; 0 if it is absent."""
        return total(part.amount for part in self.parts(key))

    def is_live(self, key: str) -> bool:
        """Whether something was added to the key since its reset."""
        return any(part.is_live for part in self.parts(key))

    def seen(self, key: str) -> list[tuple[int, Amount]]:
        """The newest dot of the key per journal, and the total there."""
        return [(part.dot, part.total) for part in self.parts(key) if part.dot >> SEQUENCE_SHIFT]

    def cover(self, seen: Iterable[tuple[int, Any]]) -> Cover:
        """What a token's dots cover."""
        return {dot & JOURNAL_MASK: (dot, base) for dot, base in seen}

    def keys(self) -> Iterable[str]:
        """Keys that were ever added to."""
        return self.rows.keys()

    # -- bytes -----------------------------------------------------------------------------------

    def section(self, keys: Iterable[str]) -> CounterSection:
        """The complete entries of `keys`, in the order given. A counter never is gone."""
        section = CounterSection({}, {})
        for key in keys:
            parts = tuple(_to_wire(part) for part in self.parts(key))
            if len(parts) == 1:
                section.ones[key] = parts[0]
            elif parts:
                section.many[key] = parts
        return section

    def rows_of(self, keys: Iterable[str]) -> Iterator[Row]:
        """The rows of `keys` for the database; of one that was only reset there is nothing."""
        for key in keys:
            entry = self.rows.get(key)
            amount = None
            if type(entry) is JournalPart and not entry.reset:
                amount = to_wire(entry.total)
            if entry is None:
                yield key, None, None
            elif amount is None or isinstance(amount, str):
                yield key, None, _encode([_to_wire(part) for part in self.parts(key)])
            else:
                yield key, amount, entry.dot

    def load(self, rows: Iterable[tuple[str, Any, Any]]) -> None:
        """Take back rows; raises msgspec's errors, or `DeltaRefused`."""
        for key, value, state in rows:
            parts = [WirePart(state, value, 0, 0)] if type(state) is int else _read_row(state)
            self._set(key, self._checked(parts, self.frontier))

    def _checked(self, parts: Iterable[WirePart], to: Sequence[int]) -> list[JournalPart]:
        checked: dict[int, JournalPart] = {}
        for part in parts:
            journal = part.dot & JOURNAL_MASK
            if journal >= len(to) or part.dot >> SEQUENCE_SHIFT > to[journal]:
                raise past_end(part.dot, to)
            if journal in checked or (part.reset and part.reset & JOURNAL_MASK != journal):
                raise forged("a counter has two parts of one journal")
            try:
                base = from_wire(part.base)
                checked[journal] = JournalPart(part.dot, from_wire(part.total), part.reset, base)
            except InvalidMessage as error:
                raise forged(str(error)) from None
        if not checked:
            raise forged("a counter has no part")
        return [checked[journal] for journal in sorted(checked)]

    # -- joining ---------------------------------------------------------------------------------

    def read_section(self, data: bytes) -> CounterSection:
        """Decode a section; raises msgspec's errors."""
        return _read_section(data)

    def plan(self, section: CounterSection, to: Sequence[int], full: bool) -> dict[str, Any]:
        """The keys whose parts change. Counters never vanish, so `full` means nothing here."""
        plan: dict[str, Any] = {}
        entries: list[tuple[str, tuple[WirePart, ...]]] = [
            *((key, (part,)) for key, part in section.ones.items()),
            *section.many.items(),
        ]
        for key, wire in entries:
            merged = {part.dot & JOURNAL_MASK: part for part in self.parts(key)}
            changed = False
            for part in self._checked(wire, to):
                journal = part.dot & JOURNAL_MASK
                old = merged.get(journal)
                new = part if old is None else _newer(key, old, part)
                if new != old:
                    merged[journal] = new
                    changed = True
            if changed:
                parts = [merged[journal] for journal in sorted(merged)]
                plan[key] = parts[0] if len(parts) == 1 else tuple(parts)
        return plan

    def join(self, plan: dict[str, Any], section: Any, moved: Sequence[int]) -> None:
        """Carry out a plan."""
        self.rows.update(plan)
        self.mark([*section.ones, *section.many], moved)


def _newer(key: str, mine: JournalPart, theirs: JournalPart) -> JournalPart:
    if mine.dot == theirs.dot and order_key(mine.total) != order_key(theirs.total):
        raise forged(f"{key!r} has two totals at one dot")
    newest = theirs if theirs.dot > mine.dot else mine
    reset = theirs if _is_newer(theirs.reset, theirs.base, mine.reset, mine.base) else mine
    return JournalPart(newest.dot, newest.total, reset.reset, reset.base)


def _is_newer(reset: int, base: Amount, than_reset: int, than_base: Amount) -> bool:
    # Two resets that saw the same dot saw the same total, unless a token was made up:
    # then the larger holds everywhere.
    if reset != than_reset:
        return reset > than_reset
    return order_key(base) > order_key(than_base)


def _to_wire(part: JournalPart) -> WirePart:
    return WirePart(part.dot, to_wire(part.total), part.reset, to_wire(part.base))


_encode: Final = msgspec.msgpack.Encoder().encode
_read_row: Final = msgspec.msgpack.Decoder(list[WirePart]).decode
_read_section: Final = msgspec.msgpack.Decoder(CounterSection).decode
