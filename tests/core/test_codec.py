"""Bytes from outside: bounds first, typed errors with a path, nothing else escapes."""

import math
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.codec import (
    COMPRESS_ABOVE,
    MAX_DEPTH,
    MAX_PLAIN,
    MAX_VALUES,
    Codec,
    Encoding,
    check_json_depth,
    check_plain,
    check_values,
    pack,
    unpack,
)
from moonlet.core.errors import InvalidMessage, PayloadTooLarge
from moonlet.core.schema import decode_plain, encode_plain

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner)
    ),
    max_leaves=20,
)


class Point(msgspec.Struct, frozen=True):
    x: int
    tags: list[str] = []


def nested(depth: int, encoding: Encoding) -> bytes:
    """`depth` lists in each other."""
    return b"[" * depth + b"]" * depth if encoding == "json" else b"\x91" * (depth - 1) + b"\x90"


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(value=PLAIN)
def test_plain_data_comes_back_as_it_went(encoding: Encoding, value: Any) -> None:
    data = encode_plain(value, encoding)
    assert decode_plain(data, encoding) == value
    assert decode_plain(*unpack(*pack(data, encoding))) == value


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=60))
def test_no_bytes_raise_anything_but_invalid_message(encoding: Encoding, data: bytes) -> None:
    for decode in (lambda: decode_plain(data, encoding), lambda: _points(encoding).decode(data)):
        try:
            decode()
        except InvalidMessage as error:
            assert error.path.startswith("$")


def _points(encoding: Encoding) -> Codec[Point]:
    return Codec(Point, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_record_that_does_not_fit_names_the_path(encoding: Encoding) -> None:
    data = encode_plain({"x": 1, "tags": ["a", 7]}, encoding)
    with pytest.raises(InvalidMessage, match=r"Expected `str`, got `int`") as misfit:
        _points(encoding).decode(data)
    assert misfit.value.path == "$.tags[1]"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_misfit_in_a_key_names_the_path_of_its_object(encoding: Encoding) -> None:
    codec = Codec[Any](dict[str, dict[int, int]], encoding)
    with pytest.raises(InvalidMessage) as misfit:
        codec.decode(encode_plain({"a": {"x": 1}}, encoding))
    assert misfit.value.path == "$[...]"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_before_encoding_with_its_path(
    encoding: Encoding, value: float
) -> None:
    with pytest.raises(InvalidMessage, match=r"\$\.prices\[1\] is (nan|-?inf)") as refused:
        encode_plain({"prices": [1.0, value]}, encoding)
    assert refused.value.path == "$.prices[1]"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_after_decoding_messagepack(value: float) -> None:
    with pytest.raises(InvalidMessage) as refused:
        decode_plain(msgspec.msgpack.encode({"a": {"b": value}}), "msgpack")
    assert refused.value.path == "$.a.b"
    with pytest.raises(InvalidMessage, match="key"):
        decode_plain(msgspec.msgpack.encode({"a": {value: 1}}), "msgpack")


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
def test_json_has_no_way_to_write_what_is_not_finite(text: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode_plain(b'{"a":' + text + b"}", "json")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_64_levels_pass_and_65_are_refused(encoding: Encoding) -> None:
    value = decode_plain(nested(MAX_DEPTH, encoding), encoding)
    assert encode_plain(value, encoding) == nested(MAX_DEPTH, encoding)
    check_plain(value)
    with pytest.raises(InvalidMessage, match="nested deeper than 64"):
        decode_plain(nested(MAX_DEPTH + 1, encoding), encoding)
    with pytest.raises(InvalidMessage, match="nested deeper than 64"):
        encode_plain([value], encoding)
    with pytest.raises(InvalidMessage, match="nested deeper than 64"):
        encode_plain({"a": value}, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("depth", [500, 100_000])
def test_no_recursion_error_escapes(encoding: Encoding, depth: int) -> None:
    hostile = nested(depth, encoding)
    with pytest.raises(InvalidMessage, match="nested deeper than 64"):
        decode_plain(hostile, encoding)
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    for refused in (lambda: encode_plain(value, encoding), lambda: check_plain(value)):
        with pytest.raises(InvalidMessage, match="nested deeper than 64"):
            refused()
    while value:  # taken apart here: a collector that did it would need as much stack
        value = value[0]


def test_a_record_of_100_000_levels_is_refused_by_its_codec_too() -> None:
    for encoding in ENCODINGS:
        with pytest.raises(InvalidMessage, match="nested deeper than 64"):
            Codec(Any, encoding).decode(nested(100_000, encoding))


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for refused in (lambda: encode_plain(endless, "json"), lambda: check_plain(endless)):
        with pytest.raises(InvalidMessage, match="nested deeper than 64"):
            refused()
    endless.clear()


@given(st.text('[]{}"\\a', max_size=40))
def test_brackets_inside_text_are_no_depth(text: str) -> None:
    data = msgspec.json.encode([text, "[" * 200, '\\"' + "{" * 200])
    check_json_depth(data)
    with pytest.raises(InvalidMessage):
        check_json_depth(b'["a\\"",' + nested(64, "json") + b"]")


def test_many_neighbours_are_no_depth() -> None:
    wide = encode_plain([{"a": [n]} for n in range(500)], "json")
    assert len(decode_plain(wide, "json")) == 500


@pytest.mark.parametrize(
    "data", [b'"\xff"', b'{"\xff":1}', b'"\xed\xa0\x80"', b'"\\ud800"', b'{"a":"\\udfff"}']
)
def test_text_that_is_no_utf_8_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode_plain(data, "json")
    with pytest.raises(InvalidMessage):
        decode_plain(b"\xa1\xff", "msgpack")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_lone_surrogate_is_refused_before_it_is_encoded(encoding: Encoding) -> None:
    with pytest.raises(InvalidMessage):
        encode_plain({"a": "\ud800"}, encoding)
    with pytest.raises(InvalidMessage):
        _points(encoding).encode(Point(1, ["\ud800"]))


def test_of_two_equal_keys_the_last_holds_for_typed_and_plain_readers_alike() -> None:
    for encoding, data in (
        ("json", b'{"x":1,"x":2}'),
        ("msgpack", b"\x82\xa1x\x01\xa1x\x02"),
    ):
        assert decode_plain(data, encoding) == {"x": 2}  # type: ignore[arg-type]
        assert Codec(Point, encoding).decode(data) == Point(2)  # type: ignore[arg-type]


def test_a_huge_integer_is_exact_in_json_and_refused_in_messagepack() -> None:
    huge = 10**40
    assert decode_plain(encode_plain([huge, -huge], "json"), "json") == [huge, -huge]
    with pytest.raises(InvalidMessage, match="2\\*\\*64"):
        encode_plain([huge], "msgpack")
    with pytest.raises(InvalidMessage):
        _points("msgpack").encode(Point(huge))
    for digits in (4_301, 100_000):
        with pytest.raises(InvalidMessage):
            decode_plain(b"1" + b"0" * digits, "json")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_follows_the_value_is_refused(encoding: Encoding) -> None:
    with pytest.raises(InvalidMessage, match="trailing"):
        decode_plain(encode_plain({"x": 1}, encoding) + b"1", encoding)
    with pytest.raises(InvalidMessage):
        decode_plain(b"", encoding)


def test_a_messagepack_extension_is_no_plain_data() -> None:
    data = msgspec.msgpack.encode({"a": [msgspec.msgpack.Ext(5, b"x")]})
    with pytest.raises(InvalidMessage) as refused:
        decode_plain(data, "msgpack")
    assert refused.value.path == "$.a[0]"


@pytest.mark.parametrize("value", [object(), {1, object()}, lambda: 1, {"a": object()}])
def test_what_is_no_data_can_not_be_encoded(value: Any) -> None:
    with pytest.raises(InvalidMessage, match="unsupported"):
        encode_plain(value, "json")
    with pytest.raises(InvalidMessage, match="can't be encoded"):
        Codec(Any, "json").encode(value)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=100))
def test_a_small_payload_is_left_alone_and_a_large_one_compressed(
    encoding: Encoding, data: bytes
) -> None:
    payload, header = pack(data, encoding)
    assert (payload, header) == (data, {"json": "", "msgpack": "msgpack"}[encoding])
    large = data + bytes(COMPRESS_ABOVE)
    payload, header = pack(large, encoding)
    if len(large) > COMPRESS_ABOVE:
        assert header == f"{encoding}+zstd" and len(payload) < 1_000
    assert unpack(payload, header) == (large, encoding)


def test_no_header_means_json() -> None:
    assert unpack(b"x", None) == (b"x", "json")
    assert unpack(b"x", "") == (b"x", "json")


@pytest.mark.parametrize(
    "header", ["xml", "JSON", "json+gzip", "json+", "+zstd", "json+zstd+zstd", "json ", "é", "\0"]
)
def test_an_unknown_header_is_refused_by_name(header: str) -> None:
    with pytest.raises(InvalidMessage, match="unknown encoding"):
        unpack(b"{}", header)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.compress(bytes(MAX_PLAIN + 1))
    assert len(bomb) < 2_000
    with pytest.raises(PayloadTooLarge) as refused:
        unpack(bomb, "json+zstd")
    assert (refused.value.limit, refused.value.value) == (MAX_PLAIN, MAX_PLAIN + 1)
    lesser = zstandard.compress(bytes(1_000))
    assert unpack(lesser, "json+zstd", 1_000) == (bytes(1_000), "json")
    with pytest.raises(PayloadTooLarge) as refused:
        unpack(lesser, "json+zstd", 999)
    assert (refused.value.limit, refused.value.value) == (999, 1_000)


def test_a_frame_that_hides_its_size_is_no_payload_of_ours() -> None:
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(MAX_PLAIN + 1))
    with pytest.raises(InvalidMessage, match="does not state its size"):
        unpack(hidden, "json+zstd")


@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_a_truncated_or_continued_frame_is_refused(cut: int, more: bytes) -> None:
    frame = zstandard.compress(bytes(range(60)))
    for payload in (frame[: min(cut, len(frame) - 1)], frame + more, more):
        with pytest.raises(InvalidMessage, match=r"decompressed|size"):
            unpack(payload, "msgpack+zstd")


def many(count: int, encoding: Encoding, each: str = "[]") -> bytes:
    """A list of `count` small values, as bytes."""
    if encoding == "json":
        return b"[" + b",".join([each.encode()] * count) + b"]"
    item = msgspec.msgpack.encode(msgspec.json.decode(each))
    return b"\xdd" + count.to_bytes(4, "big") + item * count


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("each", ["[]", '{"a":1.5}'])
def test_a_body_of_too_many_values_is_refused_before_it_is_decoded(
    encoding: Encoding, each: str
) -> None:
    """A byte of MessagePack is an empty list, which takes eighty-eight bytes."""
    data = many(2 * MAX_VALUES, encoding, each)
    if encoding == "json":
        tracemalloc.start()
    try:
        with pytest.raises(InvalidMessage, match="over 524288 values"):
            decode_plain(data, encoding)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_of_nearly_too_many_values_is_kept(encoding: Encoding) -> None:
    data = many(MAX_VALUES - 2, encoding, "7")
    assert len(decode_plain(data, encoding)) == MAX_VALUES - 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_who_would_send_too_many_values_is_told(encoding: Encoding) -> None:
    for value in ([7] * (MAX_VALUES + 1), Point(1, ["x"] * (MAX_VALUES + 1))):
        with pytest.raises(InvalidMessage, match="values"):
            encode_plain(value, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_stands_in_texts_is_no_value(encoding: Encoding) -> None:
    text = ',[{\\"' * MAX_VALUES
    assert decode_plain(encode_plain({"text": text}, encoding), encoding) == {"text": text}


@pytest.mark.parametrize(
    "data", [b'["' + b'\\"' * 2_000_000, b'["' + b"[," * 2_000_000, b'"' * 3**13]
)
def test_a_text_that_never_ends_is_looked_through_once(data: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidMessage):
        decode_plain(data, "json")
    assert time.perf_counter() - started < 5.0


@given(value=PLAIN)
def test_the_values_of_messagepack_are_counted_one_by_one(value: Any) -> None:
    data = msgspec.msgpack.encode(value)
    count = _count(value)
    check_values(data, "msgpack", count)
    if len(data) > count - 1:
        with pytest.raises(InvalidMessage):
            check_values(data, "msgpack", count - 1)


def test_every_form_of_messagepack_has_its_length() -> None:
    """By the public specification's table, with lengths at each form's edge."""
    sizes = (0, 1, 2, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65_535, 65_536)
    values: list[Any] = [msgspec.msgpack.Ext(5, b"x" * size) for size in sizes if size]
    values += [b"x" * size for size in sizes] + ["x" * size for size in sizes]
    values += [[None] * size for size in sizes] + [
        {str(n): n for n in range(size)} for size in sizes
    ]
    values += [n for bits in range(65) for n in (2**bits - 1, -(2 ** min(bits, 63))) if n < 2**64]
    values += [1.5, None, True, False, datetime.now(UTC)]
    for value in values:
        data = msgspec.msgpack.encode(value)
        count = _count(value)
        check_values(data + b"\x00" * count, "msgpack", 2 * count)
        if len(data) > count:
            with pytest.raises(InvalidMessage):
                check_values(data + b"\x00", "msgpack", count)


def _count(value: Any) -> int:
    if isinstance(value, list):
        return 1 + sum(map(_count, value))
    if isinstance(value, dict):
        return 1 + sum(_count(k) + _count(v) for k, v in value.items())
    return 1
