"""Keys that stand twice are refused, in both encodings, wherever they stand; nothing else is."""

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.core.codec import MAX_RECORD_VALUES, Encoding
from moonlet.core.errors import InvalidMessage
from moonlet.core.protocol import refuse_repeated_keys

texts = st.text(st.sampled_from('ab:",\\{}[] é'), max_size=4)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def written(value: Any, spaces: bool, twice: list[bool]) -> str:
    """JSON as somebody writes it; the first object that has a key has it twice, if asked."""
    gap = " " if spaces else ""
    if isinstance(value, dict):
        pairs = [
            f"{json.dumps(k, ensure_ascii=spaces)}{gap}:{gap}{written(v, spaces, twice)}"
            for k, v in value.items()
        ]
        if twice and pairs:
            twice.clear()
            pairs.append(pairs[0])
        return "{" + f"{gap},{gap}".join(pairs) + "}"
    if isinstance(value, list):
        return f"[{','.join(written(v, spaces, twice) for v in value)}]"
    return json.dumps(value)


def packed(value: Any, twice: list[bool]) -> bytes:
    """MessagePack, with the same."""
    if isinstance(value, dict):
        pairs = [msgspec.msgpack.encode(k) + packed(v, twice) for k, v in value.items()]
        if twice and pairs:
            twice.clear()
            pairs.append(pairs[0])
        return bytes([0xDE, 0, len(pairs)]) + b"".join(pairs)
    if isinstance(value, list):
        return bytes([0x90 + len(value)]) + b"".join(packed(v, twice) for v in value)
    return msgspec.msgpack.encode(value)


@settings(max_examples=150, deadline=None)
@given(plain, st.booleans())
def test_a_repeated_key_is_refused_and_nothing_else_is(value: Any, spaces: bool) -> None:
    ways: dict[Encoding, Callable[[list[bool]], bytes]] = {
        "json": lambda twice: written(value, spaces, twice).encode(),
        "msgpack": lambda twice: packed(value, twice),
    }
    for encoding, make in ways.items():
        refuse_repeated_keys(make([]), encoding)
        asked = [True]
        data = make(asked)
        if asked:
            continue  # there is no object with a key in it
        with pytest.raises(InvalidMessage, match="stands twice"):
            refuse_repeated_keys(data, encoding)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b'{"a":1,"a":1}', "a"),
        (b'{"a":{"b":[{"c":1,"d":":","c":2}]}}', "c"),
        (b'{"\\u0061":1,"a":2}', "a"),
        (b'{"a" :1,"b":2,"b":3}', "b"),
        (b'{"":0,"":0}', ""),
    ],
)
def test_the_key_is_named(data: bytes, key: str) -> None:
    with pytest.raises(InvalidMessage, match=f"the key '{key}' stands twice") as caught:
        refuse_repeated_keys(data, "json")
    assert caught.value.path == key


@pytest.mark.parametrize("data", [b"", b"{", b'{"a":1}{"a":1}', b'"a":"a":', b"\xff", b"[" * 60])
def test_what_is_not_json_is_left_to_the_decoder(data: bytes) -> None:
    refuse_repeated_keys(data, "json")
    refuse_repeated_keys(data, "msgpack")


def test_two_keys_in_a_map_of_every_width() -> None:
    for head in (b"\x82", b"\xde\x00\x02", b"\xdf\x00\x00\x00\x02"):
        with pytest.raises(InvalidMessage, match="a key stands twice"):
            refuse_repeated_keys(head + b"\xa1a\x01\xa1a\x02", "msgpack")
        refuse_repeated_keys(head + b"\xa1a\x01\xa1b\x02", "msgpack")


def test_very_many_keys_are_told_soon_and_more_are_not_even_decoded() -> None:
    pairs = ",".join(f'"k{number}":1' for number in range(100_000))
    began = time.process_time()
    refuse_repeated_keys(f"{{{pairs}}}".encode(), "json")
    with pytest.raises(InvalidMessage, match="the key 'k7' stands twice"):
        refuse_repeated_keys(f'{{{pairs},"k7":2}}'.encode(), "json")
    assert time.process_time() - began < 5  # counted one by one it takes minutes
    with pytest.raises(InvalidMessage, match="values"):
        refuse_repeated_keys(b"[%b0]" % (b"0," * MAX_RECORD_VALUES), "json")
