"""Rows that only grow: elements, a largest or smallest number, an author's document updates.

They are semilattices, so a join needs no dot; nothing can be taken back.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from moonlet.core.errors import InvalidMessage
from moonlet.projections.fields.store import FieldStore, Row, forged
from moonlet.projections.values import (
    JOURNAL_MASK,
    SEQUENCE_SHIFT,
    WireAmount,
    from_wire,
    order_key,
    to_wire,
)

Rule = Literal["element", "max", "min", "update"]

_Decoder = msgspec.msgpack.Decoder
_DECODERS: Final[dict[Rule, tuple[Any, Any]]] = {
    "element": (_Decoder(None), _Decoder(dict[str, None])),
    "max": (_Decoder(WireAmount), _Decoder(dict[str, WireAmount])),
    "min": (_Decoder(WireAmount), _Decoder(dict[str, WireAmount])),
    "update": (_Decoder(bytes), _Decoder(dict[str, bytes])),
}
"""Of a row and of a section."""


class LatticeStore(FieldStore):
    """Key → a value; of two values of a key, `rule` says which one stays."""

    __slots__ = ("_row", "_section", "rows", "rule")

    def __init__(self, frontier: list[int], *, rule: Rule) -> None:
        super().__init__(frontier)
        self.rule: Rule = rule
        self.rows: dict[str, Any] = {}
        self._row, self._section = _DECODERS[rule]

    def add(self, dot: int, key: str, value: Any, cover: Any) -> None:
        """Join `value` into the key's."""
        self.fresh[dot & JOURNAL_MASK][key] = dot >> SEQUENCE_SHIFT
        if key not in self.rows or self._is_better(key, value, self.rows[key]):
            self.rows[key] = value

    def _is_better(self, key: str, new: Any, old: Any) -> bool:
        if self.rule == "max":
            return order_key(new) > order_key(old)
        if self.rule == "min":
            return order_key(new) < order_key(old)
        if new != old:
            raise forged(f"{key!r} has two values of one dot")
        return False

    def keys(self) -> Iterable[str]:
        """Every key that was written."""
        return self.rows.keys()

    def section(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values of `keys`, in the order given."""
        rows = self.rows
        return {key: self._out(rows[key]) for key in keys if key in rows}

    def read_section(self, data: bytes) -> dict[str, Any]:
        """Decode a section; raises msgspec's errors, or `DeltaRefused`."""
        section: dict[str, Any] = self._section.decode(data)
        return {key: self._in(value) for key, value in section.items()}

    def plan(self, section: dict[str, Any], to: Sequence[int], full: bool) -> dict[str, Any]:
        """The keys whose value changes; nothing ever vanishes, so `full` means nothing here."""
        rows = self.rows
        return {
            key: value
            for key, value in section.items()
            if key not in rows or self._is_better(key, value, rows[key])
        }

    def join(self, plan: dict[str, Any], section: Any, moved: Sequence[int]) -> None:
        """Carry out a plan."""
        self.rows.update(plan)
        self.mark(section, moved)

    def rows_of(self, keys: Iterable[str]) -> Iterator[Row]:
        """The values of `keys` for the database, in the order given."""
        for key in keys:
            yield key, None, msgspec.msgpack.encode(self._out(self.rows[key]))

    def load(self, rows: Iterable[tuple[str, Any, Any]]) -> None:
        """Take back rows; raises msgspec's errors, or `DeltaRefused`."""
        for key, _, state in rows:
            self.rows[key] = self._in(self._row.decode(state))

    def _out(self, value: Any) -> Any:
        return to_wire(value) if self.rule in ("max", "min") else value

    def _in(self, value: Any) -> Any:
        try:
            return from_wire(value) if self.rule in ("max", "min") else value
        except InvalidMessage as error:
            raise forged(str(error)) from None
