"""The specification of the field types, straight from the set of events: `puts - observed`.

Written from the definition, with none of the product's code: no frontier arithmetic, no joins. It
looks at every pair of a write and a later removal, so it is slow and hard to get wrong.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from moonlet.projections import Observed


class Op(msgspec.Struct, frozen=True, omit_defaults=True):
    """One write of a handler: `by.add` with its key, element and amount."""

    verb: str
    key: str = ""
    member: str = ""
    amount: int = 0


class Did(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one event of the model's world: writes, and the token of what their author had read."""

    ops: list[Op]
    seen: Observed | None = None


class Place(NamedTuple):
    """Where a write stands: the event in its commit, and the write in its event, from 0."""

    journal: int
    sequence: int
    event: int
    op: int


class Write(NamedTuple):
    """A write with all that decides its effect."""

    place: Place
    op: Op
    seen: Observed | None
    time: tuple[int, int]

    @property
    def order(self) -> tuple[int, int, int]:
        """The order of dots over all journals."""
        return self.place.sequence, self.place.event, self.place.journal


class Recorded(NamedTuple):
    """A commit of the model: its events and its time."""

    events: tuple[Did, ...]
    time: tuple[int, int]


SUPERSEDES = {"put", "remove", "reset", "drop"}
"""Writes that replace or remove; the rest only adds."""


@functools.cache
def effect_of(op: Op) -> tuple[str, str, str, str]:
    """(field, what, key, member) of a write."""
    field, verb = op.verb.split(".")
    if field == "owners":
        return field, {"add": "put", "remove": "remove", "drop": "drop"}[verb], op.key, op.member
    if field == "tags":
        return field, {"add": "put", "remove": "remove"}[verb], "", op.member
    what = {
        "set": "put", "enable": "put", "disable": "remove", "clear": "remove", "remove": "remove",
        "reset": "reset",
    }.get(verb, "add")  # fmt: skip
    keyed = field in ("by", "last")
    return field, what, op.key if keyed else "", ""


@functools.cache
def row_of(op: Op) -> str:
    """The key under which a token names the row of a write."""
    field, what, key, member = effect_of(op)
    if field == "owners":
        return f"{key}\x1f" if what == "drop" else f"{key}\x1f{member}"
    return member if field == "tags" else key


def writes_of(journals: Sequence[Sequence[Recorded]], frontier: Sequence[int]) -> Iterator[Write]:
    """Every write that the frontier covers."""
    for j, (commits, end) in enumerate(zip(journals, frontier, strict=True)):
        for sequence, commit in enumerate(commits[:end], 1):
            for index, event in enumerate(commit.events):
                for number, op in enumerate(event.ops):
                    yield Write(Place(j, sequence, index, number), op, event.seen, commit.time)


def takes_back(later: Write, write: Write, tags: Sequence[str]) -> bool:
    """Whether `later` had seen `write` and so removes it."""
    field, what, key, _ = effect_of(later.op)
    other_field, _, other_key, _ = effect_of(write.op)
    if field != other_field or what not in SUPERSEDES or later.place == write.place:
        return False
    if what == "drop":
        if key != other_key:
            return False
    elif row_of(later.op) != row_of(write.op):
        return False
    if later.place[:2] == write.place[:2]:
        return later.place > write.place
    token = {row.key: row for row in later.seen.rows if row.field == field} if later.seen else {}
    if row_of(later.op) not in token:
        return (
            later.place.journal == write.place.journal
            and later.place.sequence > write.place.sequence
        )
    row = token.get(row_of(write.op))
    return row is not None and any(
        dot.journal == tags[write.place.journal]
        and (dot.sequence, dot.index) >= (write.place.sequence, write.place.event)
        for dot in row.dots
    )


def live_writes(
    journals: Sequence[Sequence[Recorded]], frontier: Sequence[int], tags: Sequence[str]
) -> list[Write]:
    """The writes that nothing seen has taken back, in the order of their dots."""
    writes = list(writes_of(journals, frontier))
    removals = [write for write in writes if effect_of(write.op)[1] in SUPERSEDES]
    live = [
        write
        for write in writes
        if effect_of(write.op)[1] in ("put", "add")
        and not any(takes_back(removal, write, tags) for removal in removals)
    ]
    return sorted(live, key=lambda write: (*write.order, write.place.op))


def budget_of(writes: Sequence[Write], tags: Sequence[str]) -> int:
    """What the journals have left together; one that looks overdrawn has got more unseen."""
    names = [tag.partition(":")[0] for tag in tags]
    left = dict.fromkeys(names, 0)
    for write in writes:
        journal, amount = names[write.place.journal], write.op.amount
        verb = write.op.verb.partition(".")[2]
        left[journal] += amount if verb == "grant" else -amount
        if verb == "transfer":
            left[write.op.member] += amount
    return sum(max(0, amount) for amount in left.values())


def value_of(
    journals: Sequence[Sequence[Recorded]], frontier: Sequence[int], tags: Sequence[str]
) -> dict[str, Any]:
    """What a view over these journals must show at this frontier."""
    live = live_writes(journals, frontier, tags)

    def of(field: str, verbs: Iterable[str] = ("",)) -> list[Write]:
        return [
            w for w in live if w.op.verb.split(".")[0] == field and w.op.verb.endswith(tuple(verbs))
        ]

    by: dict[str, int] = {}
    for write in of("by"):
        by[write.op.key] = by.get(write.op.key, 0) + write.op.amount
    last: dict[str, list[Write]] = {}
    for write in of("last"):
        last.setdefault(write.op.key, []).append(write)
    owners: dict[str, set[str]] = {}
    for write in of("owners"):
        owners.setdefault(write.op.key, set()).add(write.op.member)
    amounts = [w.op.amount for w in of("peak")], [w.op.amount for w in of("low")]
    return {
        "all": sorted({w.op.member for w in of("all")}),
        "budget": budget_of(of("budget"), tags),
        "by": dict(sorted(by.items())),
        "doc": [bytes([w.op.amount]) for w in of("doc")],
        "flag": bool(of("flag")),
        "last": {
            key: max(writes, key=lambda w: (w.time, w.order)).op.amount
            for key, writes in sorted(last.items())
        },
        "low": min(amounts[1], default=None),
        "owners": {key: sorted(members) for key, members in sorted(owners.items())},
        "peak": max(amounts[0], default=None),
        "risk": [w.op.amount for w in of("risk")],
        "tags": sorted({w.op.member for w in of("tags")}),
        "total": sum(w.op.amount for w in of("total")),
    }
