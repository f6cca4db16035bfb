"""Observed tokens: what a reader had seen of a key when it decided to write.

A read returns (value, token); the command carries the token, its event passes it on, and the fold
then replaces exactly what was seen. What was written elsewhere in the meantime stays, visible.
"""

from typing import Annotated, Any, Final

import msgspec

from moonlet.core.errors import InvalidMessage, LimitExceeded
from moonlet.projections.values.amounts import WireAmount, check_total
from moonlet.projections.values.dots import MAX_EVENTS, MAX_SEQUENCE

MAX_ROWS: Final = 64
"""Keys that one token may cover."""


class SeenDot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest dot that was seen of a key in one journal, and with it all before it there.

    `total` is what the journal's part of a counter came to at that dot, in the version of the
    view that was read: a later version that counts differently resets by that amount still.

    Tokens come from outside, in commands: one of numbers that no dot can have is refused when it
    is decoded, before it gets into an event.
    """

    journal: str
    sequence: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCE)]
    index: Annotated[int, msgspec.Meta(ge=0, lt=MAX_EVENTS)] = 0
    total: WireAmount | None = None

    def __post_init__(self) -> None:
        if self.total is not None:
            try:
                check_total(self.total)
            except InvalidMessage as error:
                raise ValueError(str(error)) from None  # which a decoder names with its path


class SeenRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was seen of one key of one field: nothing, or one dot per journal."""

    field: str
    key: str
    dots: tuple[SeenDot, ...] = ()


class Observed(msgspec.Struct, frozen=True):
    """A token of `replica.read`. Use it as the type of a command's and of an event's field.

    `a | b` covers the keys of both. `view` is a name without a version: dots are the journals'.
    """

    view: str
    rows: tuple[SeenRow, ...] = ()

    def __post_init__(self) -> None:
        if len(self.rows) > MAX_ROWS:
            raise LimitExceeded(
                f"a token of {len(self.rows)} keys is over the limit of {MAX_ROWS}: read and"
                " write the keys one by one",
                limit=MAX_ROWS,
                value=len(self.rows),
            )

    def __or__(self, other: "Observed") -> "Observed":
        if other.view != self.view:
            raise ValueError(f"tokens of two views can't be joined: {self.view}, {other.view}")
        mine = {(row.field, row.key) for row in self.rows}
        more = tuple(row for row in other.rows if (row.field, row.key) not in mine)
        return Observed(self.view, self.rows + more)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let pydantic models hold tokens too."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            lambda value: msgspec.convert(value, cls),
            serialization=core_schema.plain_serializer_function_ser_schema(msgspec.to_builtins),
        )
