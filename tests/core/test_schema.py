"""Message classes: their names, their codecs, and that nothing is stored that can't be read."""

import dataclasses
import decimal
import enum
import math
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.codec import Encoding
from moonlet.core.errors import InvalidAgentType, InvalidId, InvalidMessage
from moonlet.core.schema import (
    MessageType,
    decode_plain,
    encode_plain,
    is_message_class,
    schema,
    schema_of,
)

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


class StructMessage(msgspec.Struct, frozen=True):
    number: int
    text: str = ""
    numbers: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class DataclassMessage:
    number: int
    text: str = ""
    numbers: tuple[int, ...] = ()


class PydanticMessage(pydantic.BaseModel):
    number: int
    text: str = ""
    numbers: tuple[int, ...] = ()


@pydantic.dataclasses.dataclass(frozen=True)
class PydanticDataclassMessage:
    number: int
    text: str = ""
    numbers: tuple[int, ...] = ()


KINDS = [StructMessage, DataclassMessage, PydanticMessage, PydanticDataclassMessage]
BOTH = pytest.mark.parametrize("encoding", ENCODINGS)
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


class Colour(enum.Enum):
    RED = "red"


class Rich(msgspec.Struct, frozen=True):
    """Everything that the two encodings write differently, beside a float that must be walked."""

    data: bytes = b""
    moment: datetime | None = None
    id: uuid.UUID | None = None
    amount: decimal.Decimal | None = None
    by_number: dict[int, str] = {}
    names: frozenset[str] = frozenset()
    colour: Colour | None = None
    price: float = 0.0


class RichPlain(msgspec.Struct, frozen=True):
    """As `Rich`, but without a field that makes it be walked."""

    data: bytes = b""
    moment: datetime | None = None
    by_number: dict[int, str] = {}


RICH = Rich(
    b"\xff\0",
    datetime(2023, 3, 11, 2, tzinfo=UTC),
    uuid.UUID(int=7),
    decimal.Decimal("0.878"),
    {1: "a", -2: "b"},
    frozenset({"x", "y"}),
    Colour.RED,
    0.5,
)


@EVERY_KIND
@BOTH
@given(number=st.integers(-(2**63), 2**64 - 1), text=TEXT, numbers=st.lists(st.integers(0, 9)))
def test_every_kind_of_message_comes_back_as_it_went(
    encoding: Encoding, kind: Any, number: int, text: str, numbers: list[int]
) -> None:
    message = kind(number=number, text=text, numbers=tuple(numbers))
    known = MessageType[Any](kind)
    body, settled = known.settle(message, encoding)
    assert settled == message
    assert known.decode(body, 1, encoding) == message
    assert known.convert(decode_plain(body, encoding), 1) == message
    assert decode_plain(body, encoding) == {"number": number, "text": text, "numbers": numbers}


@BOTH
def test_all_kinds_write_the_same_bytes(encoding: Encoding) -> None:
    bodies = {MessageType[Any](kind).encode(kind(number=1), encoding) for kind in KINDS}
    assert len(bodies) == 1


@BOTH
def test_rich_fields_come_back_from_bytes_and_from_plain_data(encoding: Encoding) -> None:
    for message in (RICH, RichPlain(RICH.data, RICH.moment, RICH.by_number)):
        known = MessageType[Any](type(message))
        body, settled = known.settle(message, encoding)
        assert settled == message
        assert known.convert(decode_plain(body, encoding), 1) == message


@EVERY_KIND
@BOTH
def test_a_message_that_its_own_class_could_not_read_back_is_refused(
    encoding: Encoding, kind: Any
) -> None:
    wrong = (
        kind.model_construct(number="seven", text="", numbers=())
        if kind is PydanticMessage
        else _unchecked(kind, number="seven", text="", numbers=())
    )
    with pytest.raises(InvalidMessage) as refused:
        MessageType[Any](kind).settle(wrong, encoding)
    assert refused.value.path == "$.number"
    assert kind.__name__ in str(refused.value)


def _unchecked(kind: Any, **fields: Any) -> Any:
    message = kind(number=1)
    for name, value in fields.items():
        if issubclass(kind, msgspec.Struct):
            msgspec.structs.force_setattr(message, name, value)
        else:
            object.__setattr__(message, name, value)
    return message


@EVERY_KIND
@BOTH
def test_a_body_that_does_not_fit_names_class_and_path(encoding: Encoding, kind: Any) -> None:
    known = MessageType[Any](kind)
    body = encode_plain({"number": 1, "numbers": [1, 2, "x"]}, encoding)
    decoders: list[Callable[[], Any]] = [
        lambda: known.decode(body, 1, encoding),
        lambda: known.convert(decode_plain(body, encoding), 1),
    ]
    for decode in decoders:
        with pytest.raises(InvalidMessage, match=kind.__name__) as misfit:
            decode()
        assert misfit.value.path == "$.numbers[2]"
    others: list[Any] = [[], None, 7, "text", {}]
    for wrong in others:
        with pytest.raises(InvalidMessage):
            known.decode(encode_plain(wrong, encoding), 1, encoding)


class Aliased(pydantic.BaseModel):
    source: int = pydantic.Field(default=1, alias="from")


class Hiding(pydantic.BaseModel):
    shown: int = 1
    hidden: int = pydantic.Field(default=0, exclude=True)


@BOTH
def test_a_pydantic_alias_is_kept_and_a_field_that_would_be_lost_is_refused(
    encoding: Encoding,
) -> None:
    message = Aliased(**{"from": 5})
    body, settled = MessageType(Aliased).settle(message, encoding)
    assert settled == message
    assert decode_plain(body, encoding) == {"from": 5}
    MessageType(Hiding).settle(Hiding(shown=2), encoding)
    with pytest.raises(InvalidMessage, match="Hiding changes when it is stored and read again"):
        MessageType(Hiding).settle(Hiding(hidden=3), encoding)


class Priced(msgspec.Struct, frozen=True):
    prices: dict[str, list[float]] = {}
    other: Any = None


@dataclasses.dataclass
class PricedDataclass:
    prices: dict[str, list[float]]


class PricedModel(pydantic.BaseModel):
    prices: dict[str, list[float | None]] = {}


@BOTH
@pytest.mark.parametrize("kind", [Priced, PricedDataclass, PricedModel])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_with_its_path_both_ways(
    encoding: Encoding, kind: Any, value: float
) -> None:
    known = MessageType[Any](kind)
    with pytest.raises(InvalidMessage) as refused:
        known.encode(kind(prices={"usdc": [1.0, value]}), encoding)
    assert refused.value.path == "$.prices.usdc[1]"
    stored = msgspec.msgpack.encode({"prices": {"usdc": [1.0, value]}})
    decoders: list[Callable[[], Any]] = [
        lambda: known.decode(stored, 1, "msgpack"),
        lambda: known.convert(msgspec.msgpack.decode(stored), 1),
    ]
    for decode in decoders:
        with pytest.raises(InvalidMessage) as refused:
            decode()
        assert refused.value.path == "$.prices.usdc[1]"


class Tree(msgspec.Struct):
    children: "list[Tree]" = []


class Untyped(msgspec.Struct):
    value: Any


@BOTH
@pytest.mark.parametrize("depth", [64, 65, 500, 50_000])
def test_a_message_nests_to_64_levels_and_no_recursion_error_escapes(
    encoding: Encoding, depth: int
) -> None:
    tree = Tree()
    value: list[Any] = []
    for n in range(depth - 1):
        if n % 2:
            tree = Tree([tree])
        value = [value]
    tree_type, untyped = MessageType(Tree), MessageType(Untyped)
    if depth == 64:
        untyped.encode(Untyped(value[0]), encoding)  # the message is a level of its own
        assert tree_type.settle(tree, encoding)[1] == tree
        return
    with pytest.raises(InvalidMessage, match="nested deeper than 64"):
        untyped.encode(Untyped(value), encoding)
    if depth > 65:
        with pytest.raises(InvalidMessage, match="nested deeper than 64"):
            tree_type.encode(tree, encoding)
    while value:
        value = value[0]
    while tree.children:
        tree = tree.children[0]


@BOTH
def test_fields_that_the_class_does_not_know_are_skipped(encoding: Encoding) -> None:
    body = encode_plain({"number": 1, "later": {"a": [1.5, None]}}, encoding)
    for kind in KINDS:
        assert MessageType[Any](kind).decode(body, 1, encoding) == kind(number=1)


BAD_JSON = {
    "invalid utf-8": b'"\xff"',
    "invalid utf-8 in a key": b'{"\xff":1}',
    "a number out of range": b"-1.5e999",
    "a small number with a long exponent": b"1e+0400",
    "a lone surrogate": b'"\\ud800"',
    "a huge integer": b"1" + b"0" * 5_000,
    "65 levels": b"[" * 64 + b"]" * 64,
}
BAD_MSGPACK = {
    "not a number": msgspec.msgpack.encode(math.nan),
    "infinity": msgspec.msgpack.encode([{"a": math.inf}]),
    "invalid utf-8": b"\xa1\xff",
    "extension": msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, b"")}),
    "65 levels": b"\x91" * 63 + b"\x90",
    "100,000 levels": b"\x91" * 100_000 + b"\x90",
}


@pytest.mark.parametrize("later", BAD_JSON.values(), ids=BAD_JSON.keys())
@EVERY_KIND
def test_a_skipped_field_that_could_not_be_read_back_is_refused_in_json(
    kind: Any, later: bytes
) -> None:
    # The body is recorded as it is: readers of plain data, and the next class, meet the field.
    with pytest.raises(InvalidMessage):
        MessageType[Any](kind).decode(b'{"number":1,"later":' + later + b"}", 1, "json")


@pytest.mark.parametrize("later", BAD_MSGPACK.values(), ids=BAD_MSGPACK.keys())
@EVERY_KIND
def test_a_skipped_field_that_could_not_be_read_back_is_refused_in_messagepack(
    kind: Any, later: bytes
) -> None:
    with pytest.raises(InvalidMessage):
        MessageType[Any](kind).decode(b"\x82\xa6number\x01\xa5later" + later, 1, "msgpack")


@BOTH
def test_a_body_may_come_raw_out_of_a_record(encoding: Encoding) -> None:
    raw = msgspec.Raw(encode_plain({"number": 1, "later": [[{}]] * 40}, encoding))
    known = MessageType(StructMessage)
    assert known.decode(raw, 1, encoding) == StructMessage(1)


@BOTH
def test_a_huge_integer_goes_through_json_only(encoding: Encoding) -> None:
    known = MessageType(StructMessage)
    if encoding == "json":
        assert known.settle(StructMessage(10**40), encoding)[1] == StructMessage(10**40)
    else:
        with pytest.raises(InvalidMessage, match=r"2\*\*64"):
            known.encode(StructMessage(10**40), encoding)


def test_a_schema_name_is_the_name_of_the_class_unless_marked() -> None:
    @schema("price-tick", version=3)
    class Marked(msgspec.Struct):
        pass

    class Heir(Marked):
        pass

    assert schema_of(Marked) == ("price-tick", 3)
    assert schema_of(Heir) == ("Heir", 1), "a mark is not inherited"
    assert schema_of(StructMessage) == ("StructMessage", 1)
    assert (MessageType(Marked).name, MessageType(Marked).version) == ("price-tick", 3)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "é", "a" * 129, "a\n", None])
def test_a_schema_name_follows_the_grammar(name: Any) -> None:
    with pytest.raises(InvalidId, match="schema name"):
        schema(name)


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", None, True, 2**31])
def test_a_schema_version_counts_from_1(version: Any) -> None:
    with pytest.raises(InvalidAgentType, match="versions count from 1"):
        schema("x", version=version)


def test_two_classes_may_have_one_name_since_nothing_is_registered() -> None:
    def make(default: int) -> Any:
        @schema("Twin")
        class Twin(msgspec.Struct):
            number: int = default

        return MessageType(Twin)

    one, two = make(1), make(2)
    assert one.name == two.name == "Twin"
    assert (one.decode(b"{}", 1, "json").number, two.decode(b"{}", 1, "json").number) == (1, 2)


def test_structs_dataclasses_and_pydantic_models_are_message_classes() -> None:
    assert all(is_message_class(kind) for kind in KINDS)
    for other in (int, dict, object, StructMessage(1), None, "StructMessage", Annotated[int, 1]):
        assert not is_message_class(other)


@BOTH
@given(text=TEXT)
def test_replies_may_be_any_data(encoding: Encoding, text: str) -> None:
    for value, plain in (
        (None, None),
        (StructMessage(1, text), {"number": 1, "text": text, "numbers": []}),
        (PydanticMessage(number=1, text=text), {"number": 1, "text": text, "numbers": []}),
        ([StructMessage(1)], [{"number": 1, "text": "", "numbers": []}]),
        ({"at": datetime(2023, 3, 11, tzinfo=UTC)}, {"at": "2023-03-11T00:00:00Z"}),
        ((1, 2.5, text), [1, 2.5, text]),
    ):
        assert decode_plain(encode_plain(value, encoding), encoding) == plain
