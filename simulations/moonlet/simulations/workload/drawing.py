"""Values of any message class, drawn from dice: what a workload's commands are made of.

Small values are likely, and so are the edges at which code breaks: zero, minus one, the limits that
the annotation names, the empty string. Equal dice give equal values on every platform.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as daytime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import inspect

from moonlet.core.errors import InvalidSettings
from moonlet.simulations.seed import Dice

SMALL: Final = 100
FAR: Final = (-(2**31), -1, 0, 1, 2**31, 2**53)
"""Integers now and then: signs, and where other languages' integers end."""

FAR_ONE_IN: Final = 12
ITEMS_MAX: Final = 3
DEPTH_MAX: Final = 5
LETTERS: Final = "abcdefgh"
WORD_MAX: Final = 8
ALPHABETS: Final = (LETTERS, LETTERS.upper(), "0123456789", "ab-01")
TRIES: Final = 64
"""Words that are tried for a pattern."""

DAYS: Final = 20_000
DAY_SECONDS: Final = 86_400


def draw(cls: type[Any], dice: Dice, fields: dict[str, Callable[[Dice], Any]]) -> Any:
    """A value of a message class. `fields` draw the values of those names instead.

    Raises `InvalidSettings` for a class with a field that nothing can be drawn for.
    """
    known = inspect.type_info(cls)
    plain = _Drawer(dice, fields).draw(known, cls.__name__, 0)
    try:
        return msgspec.convert(plain, cls, builtin_types=_BUILT)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise InvalidSettings(
            f"{cls.__name__}: what was drawn is refused ({error}): say how to make one, with"
            f" make={{{cls.__name__}: ...}}"
        ) from None


_BUILT: Final = (bytes, datetime, date, daytime, timedelta, UUID, Decimal)


class _Drawer:
    def __init__(self, dice: Dice, fields: dict[str, Callable[[Dice], Any]]) -> None:
        self._dice = dice
        self._fields = fields

    def draw(self, info: inspect.Type, path: str, depth: int) -> Any:
        """Plain data that converts to a value of the type."""
        dice = self._dice
        match info:
            case inspect.NoneType():
                return None
            case inspect.BoolType():
                return bool(dice.below(2))
            case inspect.IntType():
                return self._integer(info)
            case inspect.FloatType():
                return self._integer(info) / 4
            case inspect.StrType():
                return self._word(info, path)
            case inspect.BytesType() | inspect.ByteArrayType():
                return dice.octets(dice.below(WORD_MAX))
            case inspect.DecimalType():
                return Decimal(dice.between(-SMALL, 100 * SMALL)).scaleb(-2)
            case inspect.UUIDType():
                return UUID(bytes=dice.octets(16))
            case inspect.DateTimeType() | inspect.DateType() | inspect.TimeType():
                return self._moment(info)
            case inspect.TimeDeltaType():
                return timedelta(seconds=dice.below(DAY_SECONDS))
            case inspect.EnumType():
                return dice.pick(list(info.cls)).value
            case inspect.LiteralType():
                return dice.pick(info.values)
            case inspect.UnionType():
                kinds = info.types if depth < DEPTH_MAX else _shallow(info.types)
                return self.draw(dice.pick(kinds), path, depth + 1)
            case inspect.AnyType():
                return dice.pick((None, True, 7, "text", []))
            case _:
                return self._many(info, path, depth)

    def _many(self, info: inspect.Type, path: str, depth: int) -> Any:
        """A value that holds others."""
        match info:
            case inspect.TupleType():
                return [self.draw(item, path, depth + 1) for item in info.item_types]
            case inspect.CollectionType():
                count = self._length(info, depth)
                items = [self.draw(info.item_type, path, depth + 1) for _ in range(count)]
                if isinstance(info, inspect.SetType | inspect.FrozenSetType):
                    return list(dict.fromkeys(items))
                return items
            case inspect.DictType():
                pairs = range(self._length(info, depth))
                return {
                    self.draw(info.key_type, path, depth + 1): self.draw(
                        info.value_type, path, depth + 1
                    )
                    for _ in pairs
                }
            case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
                return self._object(info, path, depth)
            case _:
                raise InvalidSettings(
                    f"{path}: no value of {type(info).__name__} can be drawn: say how to make the"
                    " command, with make={...}"
                )

    def _object(self, info: Any, path: str, depth: int) -> Any:
        found: dict[str, Any] = {}
        in_order = getattr(info, "array_like", False)  # then none in the middle may be left out
        for field in info.fields:
            here = f"{path}.{field.name}"
            if field.name in self._fields:
                found[field.encode_name] = self._fields[field.name](self._dice)
            elif field.required or in_order or (depth < DEPTH_MAX and self._dice.below(2)):
                found[field.encode_name] = self.draw(field.type, here, depth + 1)
        if in_order:
            head = [info.tag] if info.tag is not None else []
            return [*head, *found.values()]
        if getattr(info, "tag_field", None):
            found[info.tag_field] = info.tag
        return found

    def _integer(self, info: inspect.IntType | inspect.FloatType) -> int:
        dice = self._dice
        low = int(info.ge) if info.ge is not None else None
        if info.gt is not None:
            low = int(info.gt) + 1
        high = int(info.le) if info.le is not None else None
        if info.lt is not None:
            high = int(info.lt) - 1
        step = int(info.multiple_of or 1)
        if low is None and high is None and not dice.below(FAR_ONE_IN):
            return dice.pick(FAR) // step * step
        low = low if low is not None else min(1, high if high is not None else 1)
        high = high if high is not None else low + SMALL
        first = -(-low // step)
        return dice.between(first, max(first, high // step)) * step

    def _word(self, info: inspect.StrType, path: str) -> str:
        """A word; one with a pattern is tried for, which serves for ids and numbers."""
        low = info.min_length or 0
        high = min(info.max_length if info.max_length is not None else WORD_MAX, low + WORD_MAX)
        if info.pattern is None:
            return self._letters(LETTERS, low, high)
        for attempt in range(TRIES):
            word = self._letters(ALPHABETS[attempt % len(ALPHABETS)], max(low, 1), max(high, 1))
            if re.search(info.pattern, word):
                return word
        raise InvalidSettings(
            f"{path} follows the pattern {info.pattern}, for which nothing is drawn: give its"
            f" values with fields={{{path.rpartition('.')[2]!r}: [...]}}"
        )

    def _letters(self, alphabet: str, low: int, high: int) -> str:
        dice = self._dice
        return "".join(dice.pick(alphabet) for _ in range(dice.between(low, high)))

    def _length(self, info: Any, depth: int) -> int:
        low = info.min_length or 0
        if depth >= DEPTH_MAX:
            return int(low)
        high = low + ITEMS_MAX
        return self._dice.between(low, min(high, info.max_length or high))

    def _moment(self, info: Any) -> Any:
        seconds = self._dice.below(DAYS) * DAY_SECONDS + self._dice.below(DAY_SECONDS)
        moment = datetime.fromtimestamp(seconds, UTC)
        if isinstance(info, inspect.DateType):
            return moment.date()
        if info.tz is False:
            moment = moment.replace(tzinfo=None)
        return moment.timetz() if isinstance(info, inspect.TimeType) else moment


def _shallow(kinds: tuple[inspect.Type, ...]) -> tuple[inspect.Type, ...]:
    """Of a union's types those that hold no others, so that recursion ends."""
    flat = tuple(kind for kind in kinds if not hasattr(kind, "fields"))
    return flat or kinds
