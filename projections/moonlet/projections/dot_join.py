"""Joining the dots of two replicas: what one has and the other has seen removed goes.

A section is the wire form of a field's rows. It is checked while it is planned, before anything
changes: a dot outside the sender's own frontier, or one dot with two values, is forged.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from moonlet.projections.dots import JOURNAL_MASK, SEQUENCE_SHIFT, Packed
from moonlet.projections.store import forged, past_end

if TYPE_CHECKING:
    from moonlet.projections.dot_store import DotStore


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


Ahead = Mapping[int, int]
_NOTHING: Ahead = {}


def plan_join(
    store: "DotStore", section: DotSection, to: Sequence[int], full: bool
) -> list[tuple[str, Any]]:
    """The keys whose entry changes, with the new one in the form that the store keeps."""
    theirs_ahead = _checked_ahead(section, to)
    plan = _plan_ones(store, section, to, theirs_ahead)
    for key, atoms in section.many.items():
        _check_many(store, atoms, to)
        _plan_key(store, key, atoms, to, theirs_ahead, plan)
    gone = section.gone
    if full:
        named = section.ones.keys() | section.many.keys()
        gone = [key for key in store.rows if key not in named]
    for key in gone:
        if key in store.rows:
            _plan_key(store, key, (), to, theirs_ahead, plan)
    return plan


def _plan_ones(
    store: "DotStore",
    section: DotSection,
    to: Sequence[int],
    theirs_ahead: Mapping[str, Ahead],
) -> list[tuple[str, Any]]:
    """The common case, one dot here and one there, without building lists."""
    plan: list[tuple[str, Any]] = []
    rows = store.rows
    frontier = store.frontier
    bare = store.bare
    simple = not store.ahead and not theirs_ahead
    try:
        for key, atom in section.ones.items():
            dot = atom if bare else atom.dot
            if dot >> SEQUENCE_SHIFT > to[dot & JOURNAL_MASK]:
                raise past_end(dot, to)
            mine = rows.get(key)
            if not simple or type(mine) is tuple:
                _plan_key(store, key, (atom,), to, theirs_ahead, plan)
                continue
            new = dot >> SEQUENCE_SHIFT > frontier[dot & JOURNAL_MASK]
            if mine is None:
                if new:
                    plan.append((key, atom))
                continue
            old = mine if bare else mine.dot
            if old == dot:
                if not bare and mine.value != atom.value:
                    raise forged(f"{key!r} has two values of one dot")
            elif old >> SEQUENCE_SHIFT > to[old & JOURNAL_MASK]:
                if new:
                    plan.append((key, (mine, atom) if old < dot else (atom, mine)))
            else:
                plan.append((key, atom if new else None))
    except IndexError:
        raise forged("a dot names a journal that the view doesn't fold") from None
    return plan


def _plan_key(
    store: "DotStore",
    key: str,
    theirs: tuple[Any, ...],
    to: Sequence[int],
    theirs_ahead: Mapping[str, Ahead],
    plan: list[tuple[str, Any]],
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
        plan.append((key, entry))


def _has_seen(dot: int, frontier: Sequence[int], ahead: Ahead) -> bool:
    journal = dot & JOURNAL_MASK
    return dot >> SEQUENCE_SHIFT <= frontier[journal] or dot <= ahead.get(journal, -1)


def _check_many(store: "DotStore", atoms: tuple[Any, ...], to: Sequence[int]) -> None:
    last = -1
    for atom in atoms:
        dot = store.dot_of(atom)
        if dot & JOURNAL_MASK >= len(to) or dot >> SEQUENCE_SHIFT > to[dot & JOURNAL_MASK]:
            raise past_end(dot, to)
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
