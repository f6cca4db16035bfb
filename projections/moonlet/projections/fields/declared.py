"""A view's fields: how they are declared, read, and handed to handlers."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, NoReturn, get_args, get_origin

import msgspec

from moonlet.core.errors import Invalid
from moonlet.projections.errors import ImpureFold, InvalidView
from moonlet.projections.fields.bounded_store import BoundedStore
from moonlet.projections.fields.counter_store import CounterStore
from moonlet.projections.fields.dot_store import DotStore
from moonlet.projections.fields.kinds import (
    AWSet,
    BoundedCounter,
    Doc,
    EWFlag,
    GSet,
    LexCounter,
    LWWRegister,
    Max,
    Min,
    MVRegister,
    ORMap,
)
from moonlet.projections.fields.lattice_store import LatticeStore
from moonlet.projections.fields.recorder import SEPARATOR, Recorder, check_key
from moonlet.projections.fields.store import FieldStore
from moonlet.projections.fields.writer import Writer
from moonlet.projections.values import MAX_INTEGER, to_wire

TYPES: Mapping[type, str] = {
    AWSet: "two additions or removals of one element may be unaware of each other",
    BoundedCounter: "rights are spent in journals that can't reach each other",
    Doc: "updates of several authors meet",
    EWFlag: "it may be enabled and disabled unaware of each other",
    GSet: "elements come from several journals",
    LWWRegister: "two values may be written unaware of each other; the latest is shown",
    LexCounter: "every journal's additions must count once",
    MVRegister: "two values may be written unaware of each other; both are shown",
    Max: "the largest of several journals holds",
    Min: "the smallest of several journals holds",
}
"""The field types, and what each of them settles that an ordered fold can't."""


class Field(NamedTuple):
    """One declared field: its type, and whether it is a map of that type."""

    name: str
    type: type[Writer]
    is_map: bool

    @property
    def label(self) -> str:
        """The type as it was declared."""
        return f"ORMap[{self.type.__name__}]" if self.is_map else self.type.__name__

    def writer(self, recorder: Recorder, store: FieldStore) -> Writer:
        """What a handler finds under the field's name."""
        return ORMap(recorder, store, "", self.type) if self.is_map else self.type(recorder, store)

    def may_hold(self, keys: Collection[str]) -> bool:
        """Whether there may be rows of these keys, which come from outside."""
        if self.is_map and self.type.is_collection:
            return all(SEPARATOR in key for key in keys)
        if self.is_map or self.type.is_collection:
            return SEPARATOR not in "".join(keys)
        return not any(keys)

    def value(self, store: FieldStore) -> Any:
        """The field's value as plain data; keys and elements are sorted."""
        if not self.is_map:
            return self._members(store, "") if self.type.is_collection else self._one(store, "")
        if not self.type.is_collection:
            return {key: self._one(store, key) for key in self._live(store)}
        members: dict[str, list[Any]] = {}
        for key in self._live(store):
            members.setdefault(key.partition(SEPARATOR)[0], []).append(self._member(store, key))
        return members

    def read(self, store: FieldStore, key: str | None) -> tuple[Any, list[str]]:
        """The value of one key, or of a field without keys, and the rows that it stands in."""
        if key is None:
            if self.is_map:
                raise Invalid(f"{self.name} is a map: read one key of it")
            if self.type.is_collection:
                return self._members(store, ""), [*self._live(store)]
            return self._one(store, ""), [""]
        check_key(key)
        if self.is_map and self.type.is_collection:
            prefix = key + SEPARATOR
            rows = sorted(row for row in store.keys() if row.startswith(prefix))
            rows = [row for row in rows if self._is_live(store, row)]
            return [self._member(store, row) for row in rows], [prefix, *rows]
        if self.is_map:
            return self._one(store, key), [key]
        if self.type.is_collection:
            return self._is_live(store, key), [key]
        raise Invalid(f"{self.name} is one {self.label}: read it without a key")

    def column(self, store: Any, key: str) -> Any:
        """The value of a row for SQL: a number, text, bytes, or JSON; None if it is absent.

        Values of a register that were written unaware of each other are a JSON array.
        """
        if isinstance(store, CounterStore):
            return to_wire(store.amount(key)) if store.is_live(key) else None
        if isinstance(store, DotStore):
            if key not in store.rows:
                return None
            if store.bare:
                return 1
        elif self.type is GSet:
            return 1
        elif self.type is Doc:
            return store.rows[key]
        value = self._one(store, key)
        if isinstance(store, LatticeStore | BoundedStore):
            return to_wire(value)
        if self.type is MVRegister and len(value) == 1:
            value = value[0]
        if type(value) is int and value > MAX_INTEGER:
            return str(value)
        return value if type(value) in (str, int, float) else _json(value).decode()

    def _one(self, store: Any, key: str) -> Any:
        if isinstance(store, CounterStore | BoundedStore):
            return store.amount(key)
        if isinstance(store, LatticeStore):
            return store.rows.get(key)
        atoms = store.atoms(key)
        if store.bare:
            return bool(atoms)
        if self.type is LWWRegister:
            newest = max(atoms, key=lambda put: (*put.value[:2], put.dot), default=None)
            return None if newest is None else newest.value[2]
        return [put.value for put in atoms]

    def _members(self, store: FieldStore, prefix: str) -> list[Any]:
        return [self._member(store, key) for key in self._live(store)]

    def _member(self, store: Any, key: str) -> Any:
        if self.type is Doc:
            return store.rows[key]
        return key.partition(SEPARATOR)[2] if self.is_map else key

    def _live(self, store: Any) -> Iterable[str]:
        if isinstance(store, CounterStore):
            return sorted(key for key in store.rows if store.is_live(key))
        return sorted(store.rows)

    def _is_live(self, store: Any, key: str) -> bool:
        return store.is_live(key) if isinstance(store, CounterStore) else key in store.rows


def read_field(view: str, name: str, declared: Any) -> Field:
    """Check one declared field; raises `InvalidView`."""
    where = f"view {view}: the field {name!r}"
    if not name.isidentifier() or name.startswith("_"):
        raise InvalidView(f"{where} needs a name that is a Python identifier without leading _")
    is_map = declared is ORMap or get_origin(declared) is ORMap
    inner = (get_args(declared) or (None,))[0] if is_map else declared
    if inner not in TYPES:
        known = ", ".join(sorted(cls.__name__ for cls in TYPES))
        raise InvalidView(
            f"{where} is {declared!r}: give one of {known}, or ORMap[one of them]"
            + ("; join the keys of nested maps, like 'a/b'" if get_origin(inner) is ORMap else "")
        )
    return Field(name, inner, is_map)


_json: Final = msgspec.json.Encoder().encode


class Fields:
    """What a handler writes to: one attribute for each field of the view. It can't be read."""

    def __init__(self, writers: Mapping[str, Writer]) -> None:
        self.__dict__.update(writers)

    def __getattr__(self, name: str) -> Any:
        raise InvalidView(f"the view has no field {name!r}; it has {', '.join(self.__dict__)}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise ImpureFold(f"write through the type: view.{name}.set(...) or view.{name}.add(...)")
