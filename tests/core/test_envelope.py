"""The envelope as it arrives: what is wrong with it is seen before anything is decided."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.codec import MAX_DEPTH, Codec, Encoding
from moonlet.core.envelope import Envelope, read_envelope
from moonlet.core.errors import InvalidMessage
from moonlet.core.schema import encode_plain

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
LEAST: dict[str, Any] = {"id": "1", "agent": "account/alice", "name": "Deposit", "body": {"a": 1}}


def encoded(fields: dict[str, Any], encoding: Encoding) -> bytes:
    """The envelope's bytes as a foreign client might write them, checked by nothing."""
    module: Any = msgspec.json if encoding == "json" else msgspec.msgpack
    data: bytes = module.encode(fields)
    return data


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(
    number=st.integers(0, 2**63 - 1),
    deadline=st.integers(0, 2**63 - 1),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
def test_an_envelope_comes_back_as_it_went(
    encoding: Encoding, number: int, deadline: int, text: str
) -> None:
    body = msgspec.Raw(encode_plain({"text": text}, encoding))
    envelope = Envelope(
        "1", "a/b", "N", body, 3, "high", "s" + text, number, text, text, text, deadline, text, text
    )
    codec = Codec[Envelope](Envelope, encoding)
    back = read_envelope(codec.encode(envelope), encoding)
    assert bytes(back.body) == bytes(body)
    assert msgspec.structs.replace(back, body=body) == envelope


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_least_envelope_has_four_fields(encoding: Encoding) -> None:
    envelope = read_envelope(encoded(LEAST, encoding), encoding)
    assert (envelope.version, envelope.lane, envelope.number) == (1, "medium", 0)
    for field in LEAST:
        with pytest.raises(InvalidMessage, match=f"missing required field `{field}`"):
            fewer = {name: value for name, value in LEAST.items() if name != field}
            read_envelope(encoded(fewer, encoding), encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", -1),
        ("number", 2**63),
        ("number", 1.5),
        ("number", "1"),
        ("deadline", -1),
        ("deadline", 2**63),
        ("version", 0),
        ("version", 2**31),
        ("lane", "urgent"),
        ("id", 7),
        ("agent", None),
        ("name", ["Deposit"]),
    ],
)
def test_a_field_out_of_its_range_is_refused_by_path(
    encoding: Encoding, field: str, value: Any
) -> None:
    with pytest.raises(InvalidMessage) as refused:
        read_envelope(encoded({**LEAST, field: value}, encoding), encoding)
    assert refused.value.path == f"$.{field}"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_at_the_limit_of_depth_is_let_through_and_one_deeper_is_not(
    encoding: Encoding,
) -> None:
    body: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        body = [body]
    read_envelope(encoded({**LEAST, "body": body}, encoding), encoding)
    with pytest.raises(InvalidMessage, match="nested deeper than 64"):
        read_envelope(encoded({**LEAST, "body": [body]}, encoding), encoding)


BAD_JSON = {
    "invalid utf-8": b'{"a":"\xff"}',
    "invalid utf-8 in a key": b'{"\xff":1}',
    "a number out of range": b'{"a":1e999}',
    "a lone surrogate": b'{"a":"\\ud800"}',
    "a huge integer": b'{"a":1' + b"0" * 5_000 + b"}",
}
BAD_MSGPACK = {
    "not a number": msgspec.msgpack.encode({"a": math.nan}),
    "infinity": msgspec.msgpack.encode([{"a": math.inf}]),
    "invalid utf-8": b"\x81\xa1a\xa1\xff",
    "extension": msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, b"")}),
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_a_json_body_that_could_not_be_read_back_is_refused_even_if_nobody_decodes_it(
    body: bytes,
) -> None:
    data = encoded(LEAST, "json").replace(b'{"a":1}', body)
    with pytest.raises(InvalidMessage):
        read_envelope(data, "json")


@pytest.mark.parametrize("body", BAD_MSGPACK.values(), ids=BAD_MSGPACK.keys())
def test_a_messagepack_body_that_could_not_be_read_back_is_refused_too(body: bytes) -> None:
    data = encoded(LEAST, "msgpack").replace(msgspec.msgpack.encode({"a": 1}), body)
    with pytest.raises(InvalidMessage):
        read_envelope(data, "msgpack")


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=80))
def test_foreign_bytes_raise_nothing_but_invalid_message(encoding: Encoding, data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        read_envelope(data, encoding)
    whole = encoded(LEAST, encoding)
    try:
        read_envelope(whole[: len(whole) // 2] + data + whole[len(whole) // 2 :], encoding)
    except InvalidMessage:
        pass


def test_a_number_without_a_sender_counts_nothing_so_the_command_is_known_by_its_id() -> None:
    # Two foreign clients that number their commands but have no name would hide each other's.
    numbered = {**LEAST, "number": 7}
    assert read_envelope(encoded(numbered, "json"), "json").number == 0
    for named in ({"sender": "c0ffee"}, {"timer": "alarm"}, {"call": "a/b:1.0"}):
        assert read_envelope(encoded({**numbered, **named}, "json"), "json").number == 7
