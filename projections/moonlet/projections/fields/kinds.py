"""The types of a view's fields, as a view declares them and as its handlers write to them.

A handler only writes: what a fold reads of other events' effects would depend on their order.
Where an event carries a token (`Observed`) of the key, a write replaces exactly what the author
had seen. Without one it replaces what its own journal wrote before, since journals are ordered.
"""

from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from moonlet.core.errors import InvalidMessage
from moonlet.projections.errors import ImpureFold, InvalidView
from moonlet.projections.fields.bounded_store import BoundedStore
from moonlet.projections.fields.counter_store import CounterStore
from moonlet.projections.fields.dot_store import DotStore
from moonlet.projections.fields.lattice_store import LatticeStore
from moonlet.projections.fields.recorder import (
    ADD,
    PUT,
    REMOVE,
    REMOVE_UNDER,
    SEPARATOR,
    check_key,
    check_value,
)
from moonlet.projections.fields.store import FieldStore
from moonlet.projections.fields.writer import Writer
from moonlet.projections.values import Amount, check_amount, unpack


class LexCounter(Writer):
    """A sum over all journals. Every `add` counts once, also of replicas that were apart."""

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return CounterStore(frontier)

    def add(self, amount: Amount) -> None:
        """Add an int, a Decimal or a finite float; negative ones subtract."""
        recorder = self._recorder
        if type(amount) is not int or not -(2**63) <= amount < 2**63:
            amount = check_amount(amount)
        recorder.ops.append((ADD, self._store, self._key, amount, recorder.dot, None))

    def reset(self) -> None:
        """Take back what the author had seen; what was added elsewhere meanwhile stays."""
        self._write(REMOVE, self._key, None)


class GSet(Writer):
    """A set that only grows. Elements are text."""

    is_collection: ClassVar[bool] = True
    can_remove: ClassVar[bool] = False

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return LatticeStore(frontier, rule="element")

    def add(self, element: str) -> None:
        """Add an element."""
        self._write(ADD, self._key + check_key(element), None)


class Max(Writer):
    """The largest number ever put."""

    can_remove: ClassVar[bool] = False

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return LatticeStore(frontier, rule="max")

    def put(self, amount: Amount) -> None:
        """Take in an int, a Decimal or a finite float."""
        self._write(ADD, self._key, check_amount(amount))


class Min(Max):
    """The smallest number ever put."""

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return LatticeStore(frontier, rule="min")


class EWFlag(Writer):
    """A flag; of `enable` and `disable` unaware of each other, `enable` wins."""

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return DotStore(frontier, bare=True)

    def enable(self) -> None:
        """Set the flag."""
        self._write(PUT, self._key, None)

    def disable(self) -> None:
        """Clear what the author had seen of the flag."""
        self._write(REMOVE, self._key, None)


class AWSet(Writer):
    """A set; of `add` and `remove` unaware of each other, `add` wins. Elements are text."""

    is_collection: ClassVar[bool] = True

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return DotStore(frontier, bare=True)

    def add(self, element: str) -> None:
        """Add an element."""
        self._write(PUT, self._key + check_key(element), None)

    def remove(self, element: str) -> None:
        """Remove the additions that the author had seen."""
        self._write(REMOVE, self._key + check_key(element), None)


class MVRegister(Writer):
    """A register that keeps all values written unaware of each other: conflicts are visible."""

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return DotStore(frontier, bare=False)

    def set(self, value: Any) -> None:
        """Replace the values that the author had seen by `value`, plain data or a message."""
        recorder = self._recorder
        store, key = self._store, self._key
        cover = None if recorder.seen is None else recorder.cover(store, key)
        if type(value) is not str or not value.isascii():
            value = check_value(value)
        recorder.ops.append((PUT, store, key, value, recorder.dot, cover))

    def clear(self) -> None:
        """Remove the values that the author had seen."""
        self._write(REMOVE, self._key, None)


class LWWRegister(MVRegister):
    """A register that shows, of values written unaware of each other, the latest by commit time.

    The others are kept until somebody who saw them writes. The time is the author's hybrid
    logical clock; ties go to the greater dot.
    """

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return DotStore(frontier, bare=False, timed=True)

    def set(self, value: Any) -> None:
        """Replace the values that the author had seen by `value`, plain data or a message."""
        time = self._recorder.time
        self._write(PUT, self._key, [time.micros, time.counter, check_value(value)])


class BoundedCounter(Writer):
    """A stock that can't be overspent: each journal spends only rights that it holds.

    The author asks `available` before it spends or transfers; the journal's compare-and-set makes
    that answer hold.
    """

    can_remove: ClassVar[bool] = False

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return BoundedStore(frontier)

    def grant(self, amount: Amount) -> None:
        """Add to the stock; the event's own journal holds the rights."""
        self._write(ADD, self._key, (_positive(amount), 0, -1, 0))

    def spend(self, amount: Amount) -> None:
        """Take from the stock, from rights of the event's own journal."""
        self._write(ADD, self._key, (0, _positive(amount), -1, 0))

    def transfer(self, amount: Amount, to: str) -> None:
        """Hand rights of the event's own journal to the journal named `to`."""
        journal = self._recorder.journals.index.get(to)
        if journal is None:
            raise InvalidMessage(
                f"rights can't go to {to!r}: the view folds {self._recorder.journals.names}"
            )
        self._write(ADD, self._key, (0, 0, journal, _positive(amount)))


class Doc(Writer):
    """A document of another library, as the updates that its authors minted, once, in events.

    Never make updates in a fold: every replica would mint its own and the text would double.
    The value is the list of updates in the order of their dots; apply them with the library.
    """

    is_collection: ClassVar[bool] = True
    can_remove: ClassVar[bool] = False

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        return LatticeStore(frontier, rule="update")

    def update(self, data: bytes) -> None:
        """Keep an update."""
        if type(data) is not bytes:
            raise InvalidMessage(f"a document's update is bytes, not {type(data).__name__}")
        recorder = self._recorder
        sequence, index, journal = unpack(recorder.dot)
        place = f"{sequence:012x}.{index:03x}.{journal:02x}.{len(recorder.ops):04x}"
        self._write(ADD, self._key + place, data)


T = TypeVar("T", bound=Writer)


class ORMap(Writer, Generic[T]):
    """Keys (text) to a field type: `view.by_protocol["aave"].add(5)`. Keys appear when written to.

    Removing a key takes back what the author had seen of it; a write elsewhere meanwhile stays.
    """

    _inner: Any = None

    def __getitem__(self, key: str) -> T:
        if type(key) is not str or len(key) > 256 or not key.isascii() or SEPARATOR in key:
            check_key(key)
        inner: type[T] = self._inner
        return inner(self._recorder, self._store, key + SEPARATOR if inner.is_collection else key)

    def remove(self, key: str) -> None:
        """Remove the key, as far as the author had seen it."""
        check_key(key)
        inner = self._inner
        if not inner.can_remove:
            raise InvalidView(
                f"a key of ORMap[{inner.__name__}] can't be removed: {inner.__name__} only grows;"
                " use MVRegister, AWSet or LexCounter"
            )
        if not inner.is_collection:
            self._write(REMOVE, key, None)
            return
        prefix = key + SEPARATOR
        recorder = self._recorder
        dot, store = recorder.dot, self._store
        seen = recorder.covers_under(store, prefix)
        for member, cover in seen.items():
            if member != prefix:
                recorder.ops.append((REMOVE, store, member, None, dot, cover))
        # Takes back what this commit added before; with a token it removes nothing else.
        recorder.ops.append((REMOVE_UNDER, store, prefix, None, dot, seen or None))

    __delitem__ = remove

    def __setitem__(self, key: str, value: object) -> NoReturn:
        raise ImpureFold(f"assign through the type: view.field[{key!r}].set(...) or .add(...)")


def _positive(amount: Any) -> Amount:
    checked = check_amount(amount)
    if checked <= 0:
        raise InvalidMessage(f"{amount!r:.80} can't be granted, spent or sent: it must be above 0")
    return checked
