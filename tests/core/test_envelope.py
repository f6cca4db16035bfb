"""The envelope as it arrives: what is wrong with it is seen before anything is decided."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.codec import MAX_DEPTH, Codec, Encoding
from moonlet.core.envelope import Envelope
from moonlet.core.errors import InvalidMessage
from moonlet.core.schema import encode_plain
from moonlet.streams import decode_envelope

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
CODECS: dict[Encoding, Codec[Envelope]] = {
    "json": Codec(Envelope, "json"),
    "msgpack": Codec(Envelope, "msgpack"),
}
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
    back = CODECS[encoding].decode(CODECS[encoding].encode(envelope))
    assert bytes(back.body) == bytes(body)
    assert msgspec.structs.replace(back, body=body) == envelope


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_least_envelope_has_four_fields(encoding: Encoding) -> None:
    envelope = CODECS[encoding].decode(encoded(LEAST, encoding))
    assert (envelope.version, envelope.lane, envelope.number) == (1, "medium", 0)
    for field in LEAST:
        with pytest.raises(InvalidMessage, match=f"missing required field `{field}`"):
            fewer = {name: value for name, value in LEAST.items() if name != field}
            CODECS[encoding].decode(encoded(fewer, encoding))


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
        CODECS[encoding].decode(encoded({**LEAST, field: value}, encoding))
    assert refused.value.path == f"$.{field}"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_at_the_limit_of_depth_is_let_through(encoding: Encoding) -> None:
    body: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        body = [body]
    CODECS[encoding].decode(encoded({**LEAST, "body": body}, encoding))


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=80))
def test_foreign_bytes_raise_nothing_but_invalid_message(encoding: Encoding, data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        CODECS[encoding].decode(data)
    whole = encoded(LEAST, encoding)
    try:
        CODECS[encoding].decode(whole[: len(whole) // 2] + data + whole[len(whole) // 2 :])
    except InvalidMessage:
        pass


def test_a_number_without_a_sender_counts_nothing_so_the_command_is_known_by_its_id() -> None:
    # Two foreign clients that number their commands but have no name would hide each other's.
    numbered = {**LEAST, "number": 7}
    assert decode_envelope(encoded(numbered, "json"), None)[0].number == 0
    for named in ({"sender": "c0ffee"}, {"timer": "alarm"}, {"call": "a/b:1.0"}):
        assert decode_envelope(encoded({**numbered, **named}, "json"), None)[0].number == 7
