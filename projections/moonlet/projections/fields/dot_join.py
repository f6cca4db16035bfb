"""Joining the dots of two replicas: what one has and the other has seen removed goes.

A section is the wire form of a field's rows. It is checked while it is planned, before anything
changes: a dot outside the sender's own frontier, or one dot with two values, is forged.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from moonlet.projections.fields.store import forged, past_end
from moonlet.projections.values import JOURNAL_MASK, SEQUENCE_SHIFT, Packed, ends_of


class Put(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value and the dot that wrote it."""

    dot: Packed
    value: Any


class DotSection(msgspec.Struct, array_like=True):
    """Keys with one atom, keys with several (ascending), keys that are empty, ahead by key."""

    ones: dict[str, Any]
    many: dict[str, tuple[Any, ...]]
    gone: list[str]
    ahead: dict[str, list[Packed]]


class SetSection(DotSection, array_like=True):
    """A section whose atoms are bare dots."""

    ones: dict[str, Packed]
    many: dict[str, tuple[Packed, ...]]


class RegisterSection(DotSection, array_like=True):
    """A section whose atoms are puts."""

    ones: dict[str, Put]
    many: dict[str, tuple[Put, ...]]


class DotRows(Protocol):
    """What joining reads of a store: its rows, what it awaits, and how far it is."""

    frontier: list[int]
    rows: dict[str, Any]
    ahead: dict[str, dict[int, int]]
    bare: bool
    """Whether an atom is a dot, and not a `Put`."""

    def atoms(self, key: str) -> tuple[Any, ...]:
        """The atoms of a key, ascending by dot; none if it is absent."""
        ...

    def dot_of(self, atom: Any) -> int:
        """The dot of an atom."""
        ...


def check_values(section: DotSection, *, timed: bool) -> None:
    """Refuse what no register can hold, which would make it unreadable: it is forged."""
    kinds = {type(put.value) for put in section.ones.values()}
    if not section.many and not timed and kinds <= _ATOMS:
        return  # nearly always, and large joins come through here
    values = [put.value for put in section.ones.values()]
    values += [put.value for puts in section.many.values() for put in puts]
    if timed:
        for value in values:
            if type(value) is not list or [type(part) for part in value[:2]] != [int, int]:
                raise forged("a value without its time")
            if len(value) != 3:
                raise forged("a value with more than its time")
        values = [value[2] for value in values]
    if not {*map(type, values)} <= _ATOMS and not all(map(_is_plain, values)):
        raise forged("a value that is no plain data")


_ATOMS: Final = frozenset((str, int, bool, type(None)))
"""Plain whatever they are, as they come from MessagePack."""


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return bool(value - value == 0)
    if kind is list:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(map(_is_plain, value.values())) and {*map(type, value)} <= {str, int}
    return kind in _ATOMS


Ahead = Mapping[int, int]
_NOTHING: Ahead = {}


def plan_join(store: DotRows, section: DotSection, to: Sequence[int], full: bool) -> dict[str, Any]:
    """The keys whose entry changes, with the new one as the store keeps it; None: it goes."""
    ones, many, gone = section.ones, section.many, section.gone
    theirs_ahead = _checked_ahead(section, to)
    if not ones.keys().isdisjoint(gone) or (many and not many.keys().isdisjoint((*gone, *ones))):
        raise forged("a key stands in a delta twice")
    if full:
        gone = [key for key in store.rows if key not in ones and key not in many]
        section.gone = [*section.gone, *gone]
    plan: dict[str, Any] = {}
    if store.ahead or theirs_ahead:
        for key, atom in ones.items():
            _plan_key(store, key, (_checked(store, atom, to),), to, theirs_ahead, plan)
        for key in gone:
            _plan_key(store, key, (), to, theirs_ahead, plan)
    else:
        (_plan_dots if store.bare else _plan_puts)(store, ones, to, plan)
        _plan_gone(store, gone, to, plan)
    for key, atoms in many.items():
        _check_many(store, atoms, to)
        _plan_key(store, key, atoms, to, theirs_ahead, plan)
    return plan


def _plan_puts(
    store: DotRows, ones: Mapping[str, Put], to: Sequence[int], plan: dict[str, Any]
) -> None:
    """The common case, one put here and one there and nothing ahead, without building lists.

    This loop is where the time of a large join goes. Dots are compared whole with the first dot
    after a frontier, which saves taking them apart.
    """
    theirs_end, mine_end = ends_of(to), ends_of(store.frontier)
    for (key, put), mine in zip(ones.items(), map(store.rows.get, ones), strict=True):
        dot = put.dot
        journal = dot & 255
        if dot >= theirs_end[journal]:
            raise past_end(dot, to)
        if type(mine) is Put:
            old = mine.dot
            if old == dot:
                if mine.value != put.value:
                    raise forged(f"{key!r} has two values of one dot")
            elif old < theirs_end[old & 255]:
                plan[key] = put if dot >= mine_end[journal] else None
            elif dot >= mine_end[journal]:
                plan[key] = (mine, put) if old < dot else (put, mine)
        elif mine is None:
            if dot >= mine_end[journal]:
                plan[key] = put
        else:
            _plan_key(store, key, (put,), to, {}, plan)


def _plan_dots(
    store: DotRows, ones: Mapping[str, int], to: Sequence[int], plan: dict[str, Any]
) -> None:
    """The same for sets, whose atoms are bare dots."""
    theirs_end, mine_end = ends_of(to), ends_of(store.frontier)
    for (key, dot), mine in zip(ones.items(), map(store.rows.get, ones), strict=True):
        if dot >= theirs_end[dot & 255]:
            raise past_end(dot, to)
        if mine is None:
            if dot >= mine_end[dot & 255]:
                plan[key] = dot
        elif type(mine) is tuple:
            _plan_key(store, key, (dot,), to, {}, plan)
        elif mine != dot:
            if mine < theirs_end[mine & 255]:
                plan[key] = dot if dot >= mine_end[dot & 255] else None
            elif dot >= mine_end[dot & 255]:
                plan[key] = (mine, dot) if mine < dot else (dot, mine)


def _plan_gone(
    store: DotRows, gone: Sequence[str], to: Sequence[int], plan: dict[str, Any]
) -> None:
    bare, theirs_end = store.bare, ends_of(to)
    for key, mine in zip(gone, map(store.rows.get, gone), strict=True):
        if type(mine) is tuple:
            _plan_key(store, key, (), to, {}, plan)
        elif mine is not None:
            dot = mine if bare else mine.dot
            if dot < theirs_end[dot & 255]:
                plan[key] = None


def _plan_key(
    store: DotRows,
    key: str,
    theirs: tuple[Any, ...],
    to: Sequence[int],
    theirs_ahead: Mapping[str, Ahead],
    plan: dict[str, Any],
) -> None:
    mine = store.atoms(key)
    by_dot = {store.dot_of(atom): atom for atom in theirs}
    removed = theirs_ahead.get(key, _NOTHING)
    kept = []
    for atom in mine:
        dot = store.dot_of(atom)
        other = by_dot.get(dot)
        if other is not None:
            if other != atom:
                raise forged(f"{key!r} has two values of one dot")
            kept.append(atom)
        elif not _has_seen(dot, to, removed):
            kept.append(atom)
    have = {store.dot_of(atom) for atom in mine}
    mine_ahead = store.ahead.get(key, _NOTHING)
    for dot, atom in by_dot.items():
        if dot not in have and not _has_seen(dot, store.frontier, mine_ahead):
            kept.append(atom)
    kept.sort(key=store.dot_of)
    entry = kept[0] if len(kept) == 1 else tuple(kept) or None
    if tuple(kept) != mine:
        plan[key] = entry


def _has_seen(dot: int, frontier: Sequence[int], ahead: Ahead) -> bool:
    journal = dot & JOURNAL_MASK
    return dot >> SEQUENCE_SHIFT <= frontier[journal] or dot <= ahead.get(journal, -1)


def _checked(store: DotRows, atom: Any, to: Sequence[int]) -> Any:
    dot = store.dot_of(atom)
    if dot & JOURNAL_MASK >= len(to) or dot >> SEQUENCE_SHIFT > to[dot & JOURNAL_MASK]:
        raise past_end(dot, to)
    return atom


def _check_many(store: DotRows, atoms: tuple[Any, ...], to: Sequence[int]) -> None:
    last = -1
    for atom in atoms:
        dot = store.dot_of(_checked(store, atom, to))
        if dot <= last:
            raise forged("the dots of a key are out of order")
        last = dot
    if len(atoms) < 2:
        raise forged("a key with one dot stands among those with several")


def _checked_ahead(section: DotSection, to: Sequence[int]) -> dict[str, Ahead]:
    ahead: dict[str, Ahead] = {}
    for key, dots in section.ahead.items():
        removed = {dot & JOURNAL_MASK: dot for dot in dots}
        for journal, dot in removed.items():
            if journal >= len(to) or dot >> SEQUENCE_SHIFT <= to[journal]:
                raise forged(f"what {key!r} awaits is not ahead of the delta's own frontier")
        ahead[key] = removed
    return ahead
