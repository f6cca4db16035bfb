"""What the handlers of one commit ask for, collected first and carried out only if all succeed."""

from collections.abc import Iterable
from typing import Any, Final, NoReturn

import msgspec

from moonlet.core.errors import InvalidMessage, LimitExceeded
from moonlet.core.hlc import Timestamp
from moonlet.projections.errors import ImpureFold
from moonlet.projections.fields.store import FieldStore
from moonlet.projections.values import Journals, Observed, from_wire, pack

ADD: Final = 0
PUT: Final = 1
REMOVE: Final = 2
REMOVE_UNDER: Final = 3

Op = tuple[int, Any, str, Any, int, Any]
"""(what, store, key, value, dot, cover)."""

MAX_KEY: Final = 1_024
"""Characters of a key."""

SEPARATOR: Final = "\x1f"
"""Stands between a map's key and the element of the set it holds; no key may have it."""

_PLAIN: Final = frozenset((str, bool, type(None)))


class Recorder:
    """Collects one commit's operations. `dot` and `seen` are those of the event in hand."""

    __slots__ = ("dot", "journals", "ops", "seen", "time")

    def __init__(self, journals: Journals) -> None:
        self.journals = journals
        self.ops: list[Op] = _CLOSED
        self.dot = 0
        self.seen: dict[tuple[FieldStore, str], Any] | None = None
        self.time = Timestamp(0)

    def open(self, time: Timestamp) -> list[Op]:
        """Begin a commit; the list fills while its handlers run."""
        self.time = time
        self.ops = []
        return self.ops

    def close(self) -> None:
        """End the commit: whoever writes from now on is told off."""
        self.ops = _CLOSED

    def observe(self, observed: Observed | None, stores: dict[str, FieldStore]) -> None:
        """Take the token of the event in hand; rows and journals that aren't ours are left out."""
        if observed is None:
            self.seen = None
            return
        by_tag = self.journals.by_tag
        seen: dict[tuple[FieldStore, str], Any] = {}
        for row in observed.rows:
            store = stores.get(row.field)
            if store is not None:
                dots = [
                    (
                        pack(d.sequence, d.index, by_tag[d.journal]),
                        0 if d.total is None else from_wire(d.total),
                    )
                    for d in row.dots
                    if d.journal in by_tag
                ]
                seen[store, row.key] = store.cover(dots)
        self.seen = seen

    def cover(self, store: FieldStore, key: str) -> Any:
        """What the event's author had seen of a key; None if it carries no token of it."""
        return None if self.seen is None else self.seen.get((store, key))

    def covers_under(self, store: FieldStore, prefix: str) -> dict[str, Any]:
        """What the event's author had seen of the keys that begin with `prefix`."""
        seen = self.seen or {}
        return {k: c for (s, k), c in seen.items() if s is store and k.startswith(prefix)}


class _Closed(list[Op]):
    """Stands in for the list of operations while no commit is being folded."""

    def append(self, op: Op) -> NoReturn:
        raise ImpureFold(
            "a view was written to outside its handlers: don't keep `view` or its fields; write"
            " to them only while the handler runs"
        )


_CLOSED: Final[list[Op]] = _Closed()


def carry_out(ops: list[Op]) -> None:
    """Apply one commit's operations in order; they were checked, so none can fail."""
    if len(ops) > 1:
        ops = _settled(ops)
    for what, store, key, value, dot, cover in ops:
        if what == PUT:
            store.put(dot, key, value, cover)
        elif what == ADD:
            store.add(dot, key, value, cover)
        elif what == REMOVE:
            store.remove(dot, key, value, cover)
        else:
            store.remove_under(dot, key, value, cover)


def _settled(ops: list[Op]) -> list[Op]:
    """Without what a later event of the same commit takes back: it has seen the earlier ones.

    A `put` that is taken back still removes what its author had seen; an `add` leaves nothing.
    """
    closed: set[tuple[FieldStore, str]] = set()
    prefixes: set[tuple[FieldStore, str]] = set()
    kept: list[Op] = []
    for op in reversed(ops):
        what, store, key, _, dot, cover = op
        taken_back = (store, key) in closed or any(
            store is other and key.startswith(prefix) for other, prefix in prefixes
        )
        if what == PUT:
            kept.append((REMOVE, store, key, None, dot, cover) if taken_back else op)
            closed.add((store, key))
        elif what == ADD:
            if not taken_back:
                kept.append(op)
        else:
            kept.append(op)
            (closed if what == REMOVE else prefixes).add((store, key))
    kept.reverse()
    return kept


def check_key(key: Any) -> str:
    """Return `key` if it can be one: text of at most `MAX_KEY` characters."""
    if type(key) is not str:
        raise InvalidMessage(f"{key!r:.80} can't be a key of a view: use text, like str(...)")
    if len(key) > MAX_KEY:
        raise LimitExceeded(
            f"a key of {len(key)} characters is over the limit of {MAX_KEY}: use a shorter name",
            limit=MAX_KEY,
            value=len(key),
        )
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            raise InvalidMessage(f"{key!a:.80} can't be a key: it is no valid text") from None
    if SEPARATOR in key:
        raise InvalidMessage(f"{key!a:.80} can't be a key: it holds the character U+001F")
    return key


def check_value(value: Any) -> Any:
    """The plain data of a value, in the one form that all replicas keep."""
    kind = type(value)
    if kind in _PLAIN and (kind is not str or value.isascii()):
        return value
    if kind is int and -(2**63) <= value < 2**63:
        return value
    try:
        plain = _decode(_encode(msgspec.to_builtins(value, order="sorted")))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidMessage(f"{value!r:.80} can't be kept in a view: {error}") from None
    _check_finite(plain)
    return plain


def _check_finite(value: Any) -> None:
    items: Iterable[Any] = ()
    if isinstance(value, float):
        if value - value != 0:
            raise InvalidMessage("NaN and infinities can't be kept in a view: use None")
    elif isinstance(value, list):
        items = value
    elif isinstance(value, dict):
        items = value.values()
    for item in items:
        _check_finite(item)


_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode
_decode: Final = msgspec.msgpack.Decoder().decode
