"""Deltas: what a replica must know to catch up from one frontier to another.

A delta holds every key touched after `since`, complete, and the sender's whole frontier: left out
parts of it would claim less than the keys show, and the receiver would bring removed ones back.
It may be joined only onto a frontier that covers `since`. Applied whole or not at all.

Bytes: one for the form, the body (zstd above 1 KiB), four of a hash of both.
"""

from collections.abc import Collection, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
import zstandard

from moonlet.core.errors import PayloadTooLarge
from moonlet.core.frontier import Frontier
from moonlet.projections.errors import DeltaGap, DeltaRefused
from moonlet.projections.fields import FieldStore, forged
from moonlet.projections.values import FILTER_BYTES, MAX_SEQUENCE, NAME_BYTES
from moonlet.projections.view import ViewState

MAX_DELTA: Final = 268_435_456
"""Bytes of a delta, decompressed."""

COMPRESS_ABOVE: Final = 1_024
HASH_BYTES: Final = 4

_PLAIN: Final = b"\x00"
_ZSTD: Final = b"\x01"


class Body(msgspec.Struct, array_like=True):
    """The body of a delta. `steps` is the sender's frontier less `since`, for every journal.

    `full`: keys that it leaves out are empty at the sender. `fields` holds sections by the
    field's place in the sorted names.
    """

    version: int
    identity: bytes
    since: list[int]
    steps: list[int]
    full: bool
    fields: dict[int, msgspec.Raw]


def make_delta(state: ViewState, since: Frontier | None = None) -> bytes:
    """What is new since the frontier `since`; the full state if None, or if that is too old.

    Canonical: equal states and `since` give equal bytes, as long as the index holds the same.
    """
    base = [0] * len(state.vector) if since is None else state.journals.vector(since)
    # A receiver ahead of us somewhere has nothing to learn there.
    base = [min(low, high) for low, high in zip(base, state.vector, strict=True)]
    touched = None if since is None else state.touched(base)
    if touched is None:
        base = [0] * len(base)
    fields: dict[int, msgspec.Raw] = {}
    for place, (name, store) in enumerate(state.stores.items()):
        keys = sorted(store.keys() if touched is None else touched[name])
        if keys or touched is None:
            fields[place] = msgspec.Raw(_encode(store.section(keys)))
    steps = [high - low for low, high in zip(base, state.vector, strict=True)]
    version = state.view.version
    return _pack(_encode(Body(version, state.identity, base, steps, touched is None, fields)))


def apply_delta(state: ViewState, delta: bytes, *, ends: Frontier | None = None) -> bool:
    """Join a delta; False if it brings nothing new. Whatever is raised, the state is unchanged.

    `ends` are the journals' last sequences, where known: no frontier may be past them. Raises
    `DeltaGap` (ask again from our frontier), `DeltaRefused`, `PayloadTooLarge`.
    """
    body = _read(state, delta)
    to = _checked_frontier(state, body, ends)
    if _covers(state.vector, to):
        return False
    if not _covers(state.vector, body.since):
        raise DeltaGap(
            f"view {state.view.name}: a delta since {body.since} can't be joined at"
            f" {state.vector}: ask for one since our own frontier"
        )
    plans: list[tuple[FieldStore, Any, dict[str, Any]]] = []
    for place, (name, store) in enumerate(state.stores.items()):
        raw = body.fields.pop(place, None)
        if raw is None:
            if body.full:
                raise forged(f"a full state without the field {name}")
            continue
        try:
            section = store.read_section(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise forged(f"the field {name} can't be read ({error})") from None
        if not all(map(state.view.fields[name].may_hold, _keys(section))):
            raise forged(f"the field {name} has keys of another type")
        plans.append((store, section, store.plan(section, to, body.full)))
    if body.fields:
        raise forged(f"fields at the places {sorted(body.fields)}")
    moved = [i for i, n in enumerate(to) if n > state.vector[i]]
    for journal in moved:
        state.vector[journal] = to[journal]
        if body.full:  # what was removed on the way isn't named, so older deltas can't be made
            state.floor[journal] = to[journal]
    planned = {id(store) for store, _, _ in plans}
    for store, section, plan in plans:
        store.join(plan, section, moved)
    for store in state.stores.values():
        if id(store) not in planned:
            for journal in moved:
                store.passed(journal)
    return True


def _keys(section: Any) -> Sequence[Collection[str]]:
    """All keys that a section names, as it holds them."""
    if isinstance(section, dict):
        return (section,)
    return [getattr(section, part, ()) for part in ("ones", "many", "gone", "ahead")]


def _read(state: ViewState, delta: bytes) -> Body:
    data = _unpack(delta)
    try:
        body = _decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise forged(f"a delta can't be read ({error})") from None
    check_identity(state, body.version, body.identity)
    return body


def check_identity(state: ViewState, version: int, identity: bytes) -> None:
    """Raise `DeltaRefused` unless the sender folds the same view of the same events."""
    mine, theirs = state.identity, identity
    name, filter_ = slice(0, NAME_BYTES), slice(NAME_BYTES, NAME_BYTES + FILTER_BYTES)
    where = f"view {state.view.name}@{state.view.version}: a delta"
    if theirs[name] != mine[name]:
        raise DeltaRefused(f"{where} of another view came in: check the subjects", fault="view")
    if version != state.view.version:
        raise DeltaRefused(
            f"{where} of version {version} came in: replicas of two versions don't mix; wait"
            " until all run the same code",
            fault="version",
        )
    if theirs[filter_] != mine[filter_]:
        raise DeltaRefused(
            f"{where} of a replica that reads other subjects came in: a frontier means other"
            " events there; give all replicas one topology",
            fault="filter",
        )
    if theirs != mine:
        raise DeltaRefused(
            f"{where} over other incarnations of the journals, or with other commits skipped, came"
            " in: compare the journals with `moonlet doctor`, and rebuild the replica whose"
            " journals were re-created",
            fault="incarnation",
        )


def check_frontier(state: ViewState, vector: Sequence[int]) -> None:
    """Raise `DeltaRefused` unless this can be a vector over the state's journals."""
    if len(vector) != len(state.vector) or min(vector) < 0:
        raise forged(f"a frontier of {len(vector)} journals instead of {len(state.vector)}, or <0")


def _checked_frontier(state: ViewState, body: Body, ends: Frontier | None) -> list[int]:
    check_frontier(state, body.since)
    check_frontier(state, body.steps)
    to = [low + step for low, step in zip(body.since, body.steps, strict=True)]
    if max(to) > MAX_SEQUENCE:
        raise forged(f"a frontier at {max(to)}, which no journal reaches")
    if ends is not None:
        for name, mine, theirs in zip(state.journals.names, state.vector, to, strict=True):
            if theirs > max(ends.at(name), mine):
                raise DeltaRefused(
                    f"view {state.view.name}: a delta up to {theirs} in {name} came in, but that"
                    f" journal ends at {ends.at(name)}: it went back (a restored backup?) or the"
                    " delta is forged; run `moonlet doctor`",
                    fault="ahead of the journal",
                )
    return to


def _covers(mine: Sequence[int], theirs: Sequence[int]) -> bool:
    return all(m >= t for m, t in zip(mine, theirs, strict=True))


def _pack(body: bytes) -> bytes:
    form = _PLAIN
    if len(body) > COMPRESS_ABOVE:
        packed = zstandard.compress(body, 3)
        if len(packed) < len(body):
            form, body = _ZSTD, packed
    data = form + body
    return data + _hash(data)


def _unpack(delta: bytes) -> bytes:
    if len(delta) > MAX_DELTA:
        raise _too_large(len(delta))
    data, given = delta[:-HASH_BYTES], delta[-HASH_BYTES:]
    if len(data) < 2 or _hash(data) != given or data[:1] not in (_PLAIN, _ZSTD):
        raise DeltaRefused(
            f"a delta of {len(delta)} bytes is damaged or cut off: ask for it again",
            fault="damaged",
        )
    if data[:1] == _PLAIN:
        return data[1:]
    try:
        size = zstandard.frame_content_size(data[1:])
        if not 0 <= size <= MAX_DELTA:
            raise _too_large(size)
        return zstandard.ZstdDecompressor().decompress(data[1:], max_output_size=MAX_DELTA)
    except zstandard.ZstdError as error:
        raise DeltaRefused(f"a delta can't be decompressed: {error}", fault="damaged") from None


def _too_large(size: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"a delta of {size} bytes is over the limit of {MAX_DELTA}: read the journals instead",
        limit=MAX_DELTA,
        value=size,
    )


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=HASH_BYTES).digest()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Body).decode
