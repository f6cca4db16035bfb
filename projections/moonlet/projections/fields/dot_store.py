"""Rows whose values are dots: sets, flags and registers. Removed dots leave nothing behind.

The value of a key is `puts - observed` over the events seen. An absent dot that the frontier
covers was removed; one that it doesn't cover hasn't been seen. Only a removal that observed a dot
still ahead of the frontier is remembered, in `ahead`, until the frontier passes it.

After "Delta State Replicated Data Types" (Almeida, Shoker, Baquero 2016), with the journal's
sequence as the dot, so that the context is one integer per journal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Final

import msgspec

from moonlet.projections.fields.dot_join import (
    DotSection,
    Put,
    RegisterSection,
    SetSection,
    check_values,
    plan_join,
)
from moonlet.projections.fields.store import FieldStore, Row, forged, past_end
from moonlet.projections.values import JOURNAL_MASK, MAX_INTEGER, SEQUENCE_SHIFT, Packed, ends_of

Cover = Mapping[int, int]
"""Journal index → the newest dot seen there."""


SetRow = tuple[tuple[Packed, ...], tuple[Packed, ...]]
RegisterRow = tuple[tuple[Put, ...], tuple[Packed, ...]]


class DotStore(FieldStore):
    """Key → one atom or a tuple of them, ascending by dot. An atom is a dot or a `Put`.

    One atom is kept bare: most keys have one, and a tuple of one would double them.
    """

    __slots__ = ("_row", "_section", "ahead", "bare", "rows", "timed", "waiting")

    def __init__(self, frontier: list[int], *, bare: bool, timed: bool = False) -> None:
        super().__init__(frontier)
        self.bare = bare
        self.timed = timed
        """Whether a value is (µs, counter, what was written)."""
        self.rows: dict[str, Any] = {}
        self.ahead: dict[str, dict[int, int]] = {}
        self.waiting: list[list[tuple[int, str]]] = [[] for _ in frontier]
        self._section, self._row = _SET if bare else _REGISTER

    # -- folding ---------------------------------------------------------------------------------

    def put(self, dot: int, key: str, value: Any, cover: Cover | None) -> None:
        """Write `value` at `dot`, replacing what `cover` names; without one, its own journal's."""
        journal = dot & JOURNAL_MASK
        self.fresh[journal][key] = dot >> SEQUENCE_SHIFT
        atom: Any = dot if self.bare else Put(dot, value)
        if not self.ahead:
            old = self.rows.get(key)
            if old is None:
                if not cover:
                    self.rows[key] = atom
                    return
            elif type(old) is not tuple:
                seen = old if self.bare else old.dot
                if cover is None:
                    if seen & JOURNAL_MASK == journal:
                        self.rows[key] = atom
                        return
                elif len(cover) == 1 and cover.get(seen & JOURNAL_MASK) == seen:
                    self.rows[key] = atom
                    return
        self._write(dot, key, atom, cover)

    def remove(self, dot: int, key: str, value: None, cover: Cover | None) -> None:
        """Drop what `cover` names; without one, what the dot's own journal put."""
        self.fresh[dot & JOURNAL_MASK][key] = dot >> SEQUENCE_SHIFT
        if not self.ahead and cover is not None and len(cover) == 1:
            old = self.rows.get(key)
            if old is not None and type(old) is not tuple:
                seen = old if self.bare else old.dot
                if cover.get(seen & JOURNAL_MASK) == seen:
                    del self.rows[key]
                    return
        self._write(dot, key, None, cover)

    def remove_under(self, dot: int, prefix: str, value: None, cover: None) -> None:
        """Drop what the dot's own journal put under `prefix`; nothing if the author saw it."""
        if cover is not None:
            return
        for key in [key for key in self.rows if key.startswith(prefix)]:
            self.remove(dot, key, None, None)

    def _write(self, dot: int, key: str, atom: Any, cover: Cover | None) -> None:
        journal = dot & JOURNAL_MASK
        kept: list[Any]
        if cover is None:
            kept = [a for a in self.atoms(key) if self.dot_of(a) & JOURNAL_MASK != journal]
        else:
            kept = [
                a
                for a in self.atoms(key)
                if self.dot_of(a) > cover.get(self.dot_of(a) & JOURNAL_MASK, -1)
            ]
            for other, newest in cover.items():
                if newest >> SEQUENCE_SHIFT > self.frontier[other]:
                    self._await(key, other, newest)
        if atom is not None and not self._is_removed(key, dot):
            kept.append(atom)
            kept.sort(key=self.dot_of)
        self._set(key, kept)

    def _await(self, key: str, journal: int, newest: int) -> None:
        removed = self.ahead.setdefault(key, {})
        if newest > removed.get(journal, -1):
            removed[journal] = newest
            heappush(self.waiting[journal], (newest >> SEQUENCE_SHIFT, key))

    def _is_removed(self, key: str, dot: int) -> bool:
        removed = self.ahead.get(key)
        return removed is not None and dot <= removed.get(dot & JOURNAL_MASK, -1)

    def passed(self, journal: int) -> None:
        """Forget what the frontier of `journal` has passed."""
        sequence = self.frontier[journal]
        waiting = self.waiting[journal]
        while waiting and waiting[0][0] <= sequence:
            _, key = heappop(waiting)
            removed = self.ahead.get(key)
            newest = None if removed is None else removed.get(journal)
            if removed is None or newest is None or newest >> SEQUENCE_SHIFT > sequence:
                continue
            del removed[journal]
            if not removed:
                del self.ahead[key]
            self.fresh[journal][key] = sequence

    # -- reading ---------------------------------------------------------------------------------

    def dot_of(self, atom: Any) -> int:
        """The dot of an atom."""
        dot: int = atom if self.bare else atom.dot
        return dot

    def atoms(self, key: str) -> tuple[Any, ...]:
        """The atoms of a key, ascending by dot; none if it is absent."""
        entry = self.rows.get(key)
        if entry is None:
            return ()
        return entry if type(entry) is tuple else (entry,)

    def seen(self, key: str) -> list[tuple[int, None]]:
        """The newest dot of the key per journal, in the order of the journals."""
        entry = self.rows.get(key)
        if entry is None:
            return []
        if type(entry) is not tuple:
            return [(entry if self.bare else entry.dot, None)]
        newest: dict[int, int] = {}
        for atom in entry:
            dot = self.dot_of(atom)
            newest[dot & JOURNAL_MASK] = dot
        return [(newest[journal], None) for journal in sorted(newest)]

    def cover(self, seen: Iterable[tuple[int, Any]]) -> Cover:
        """What a token's dots cover."""
        return {dot & JOURNAL_MASK: dot for dot, _ in seen}

    def keys(self) -> Iterable[str]:
        """Keys with a value or with something ahead, in no order."""
        return self.rows.keys() | self.ahead.keys() if self.ahead else self.rows.keys()

    # -- bytes -----------------------------------------------------------------------------------

    def section(self, keys: Iterable[str]) -> DotSection:
        """The complete entries of `keys`, in the order given."""
        section = DotSection({}, {}, [], {})
        for key in keys:
            entry = self.rows.get(key)
            if entry is None:
                section.gone.append(key)
            elif type(entry) is tuple:
                section.many[key] = entry
            else:
                section.ones[key] = entry
            removed = self.ahead.get(key)
            if removed:
                section.ahead[key] = [removed[journal] for journal in sorted(removed)]
        return section

    def rows_of(self, keys: Iterable[str]) -> Iterator[Row]:
        """The rows of `keys` for the database, in the order given."""
        rows, ahead = self.rows, self.ahead
        for key in keys:
            entry = rows.get(key)
            if ahead and key in ahead:
                removed = ahead[key]
                awaited = [removed[journal] for journal in sorted(removed)]
                yield key, None, _encode((self.atoms(key), awaited))
            elif type(entry) is Put and _is_scalar(entry.value):
                yield key, entry.value, entry.dot
            elif type(entry) is int:
                yield key, 1, entry
            elif entry is None:
                yield key, None, None
            else:
                yield key, None, _encode((self.atoms(key), ()))

    def load(self, rows: Iterable[tuple[str, Any, Any]]) -> None:
        """Take back rows; raises msgspec's errors, or `DeltaRefused`."""
        bare, entries, ends = self.bare, self.rows, ends_of(self.frontier)
        for key, value, state in rows:
            if type(state) is not int:
                self._load(key, state)
            elif 0 <= state < ends[state & JOURNAL_MASK]:
                entries[key] = state if bare else Put(state, value)
            else:
                raise past_end(state, self.frontier)

    def _load(self, key: str, state: Any) -> None:
        atoms, removed = self._row.decode(state)
        if any(self.dot_of(a) >> SEQUENCE_SHIFT > self._end(self.dot_of(a)) for a in atoms):
            raise forged(f"the row {key!r} is ahead of its frontier")
        self._set(key, list(atoms))
        for dot in removed:
            if dot >> SEQUENCE_SHIFT > self._end(dot):
                self._await(key, dot & JOURNAL_MASK, dot)

    def _end(self, dot: int) -> int:
        journal = dot & JOURNAL_MASK
        if journal >= len(self.frontier):
            raise forged(f"a dot names journal {journal} of {len(self.frontier)}")
        return self.frontier[journal]

    def _set(self, key: str, atoms: list[Any]) -> None:
        if not atoms:
            self.rows.pop(key, None)
        elif len(atoms) == 1:
            self.rows[key] = atoms[0]
        else:
            self.rows[key] = tuple(atoms)

    # -- joining ---------------------------------------------------------------------------------

    def read_section(self, data: bytes) -> DotSection:
        """Decode a section; raises msgspec's errors, and `DeltaRefused`."""
        section: DotSection = self._section.decode(data)
        if not self.bare:
            check_values(section, timed=self.timed)
        return section

    def plan(self, section: DotSection, to: Sequence[int], full: bool) -> dict[str, Any]:
        """What joining would change; see `dot_join`."""
        return plan_join(self, section, to, full)

    def join(self, plan: dict[str, Any], section: Any, moved: Sequence[int]) -> None:
        """Carry out a plan, and remember what the sender has removed ahead of us."""
        self.rows.update(plan)
        for key in [key for key, entry in plan.items() if entry is None]:
            del self.rows[key]
        for key, dots in section.ahead.items():
            for dot in dots:
                if dot >> SEQUENCE_SHIFT > self.frontier[dot & JOURNAL_MASK]:
                    self._await(key, dot & JOURNAL_MASK, dot)
        for keys in (section.ones, section.many, section.gone):
            self.mark(keys, moved)
        for journal in moved:
            self.passed(journal)


def _is_scalar(value: Any) -> bool:
    """Whether SQLite gives it back exactly as it was.

    A bool would come back as a number, and an integer over `MAX_INTEGER` not at all.
    """
    kind = type(value)
    return kind is str or kind is float or (kind is int and value <= MAX_INTEGER)


_Decoder = msgspec.msgpack.Decoder
_SET: Final[tuple[Any, Any]] = _Decoder(SetSection), _Decoder(SetRow)
_REGISTER: Final[tuple[Any, Any]] = _Decoder(RegisterSection), _Decoder(RegisterRow)
"""Decoders of a section and of a row."""

_encode: Final = msgspec.msgpack.Encoder().encode
