"""What a handler writes through: the base of the field types."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import msgspec

from moonlet.projections.errors import ImpureFold
from moonlet.projections.fields.store import FieldStore


def _impure(name: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *args: object) -> NoReturn:
        raise ImpureFold(
            f"{type(self).__name__} was read in a fold ({name}): handlers only write, or replicas"
            " would differ by the order in which they read the journals; let the agent decide and"
            " record it in the event"
        )

    return refuse


class Writer(msgspec.Struct, eq=False, gc=False):
    """Base of the field types: writes to the row `key` of a store, through the recorder.

    A Struct because one is made for every key that a handler touches.
    """

    _recorder: Any
    _store: Any
    _key: str = ""
    is_collection: ClassVar[bool] = False
    """Whether the type has a row per element, and not one row."""
    can_remove: ClassVar[bool] = True
    """Whether a key of a map of this type can be removed."""

    @classmethod
    def new_store(cls, frontier: list[int]) -> FieldStore:
        """An empty store for a field of this type."""
        raise NotImplementedError

    def _write(self, what: int, key: str, value: Any) -> None:
        recorder = self._recorder
        cover = None if recorder.seen is None else recorder.cover(self._store, key)
        recorder.ops.append((what, self._store, key, value, recorder.dot, cover))

    def __getattr__(self, name: str) -> NoReturn:
        _impure(f".{name}")(self)
        raise AssertionError

    __bool__ = __len__ = __iter__ = __contains__ = _impure("its value")
    __int__ = __float__ = __lt__ = __le__ = __gt__ = __ge__ = _impure("its value")
