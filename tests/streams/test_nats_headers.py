from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.errors import Invalid, InvalidId, InvalidMessage, PayloadTooLarge
from moonlet.streams.nats import headers as frames
from moonlet.streams.nats import wire as nats_api_wire
from moonlet.streams.nats.limits import SUBJECT_BYTES_MAX
from moonlet.streams.nats.pull import decode_delivery

NAMES = st.text(st.sampled_from("ABCxyz019-_"), min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_characters="\r\n", codec="utf-8")).map(str.strip)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_headers_come_back_as_they_went(headers: dict[str, str]) -> None:
    assert frames.decode_headers(nats_api_wire.encode_headers(headers)) == headers


@pytest.mark.parametrize("line", ["K: v", "K:v", "K:   v", "K: v  ", "K:\tv", "K: v\t"])
def test_white_space_around_a_value_is_not_part_of_it(line: str) -> None:
    raw = f"NATS/1.0\r\nA: a: b\r\n{line}\r\nEmpty: \r\nNone:\r\n\r\n".encode()
    assert frames.decode_headers(raw) == {"A": "a: b", "K": "v", "Empty": "", "None": ""}


@pytest.mark.parametrize("value", ["a\r\nb", "a\rb", "a\nb", "\n"])
def test_a_header_value_with_a_line_break_is_refused(value: str) -> None:
    with pytest.raises(InvalidMessage, match="Bad") as refusal:
        nats_api_wire.encode_headers({"Good": "x", "Bad": value})
    assert refusal.value.path == "Bad"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "ä"])
def test_a_header_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(InvalidMessage):
        nats_api_wire.encode_headers({name: "x"})


def test_a_status_stands_among_the_headers() -> None:
    raw = b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n"
    assert frames.status_code(raw) == 408
    assert frames.decode_headers(raw) == {
        "Status": "408",
        "Description": "Request Timeout",
        "Nats-Pending-Messages": "3",
    }
    assert frames.decode_headers(b"NATS/1.0 503\r\n\r\n") == {"Status": "503"}
    assert frames.status_code(b"NATS/1.0\r\nA: b\r\n\r\n") == 0
    assert frames.status_code(None) == 0


@given(st.text())
def test_no_subject_breaks_the_protocol_line(subject: str) -> None:
    try:
        frame = nats_api_wire.encode_publish(subject, "r", b"body", None, 100)
    except (InvalidId, UnicodeEncodeError):
        return
    line, separator, rest = frame.partition(b"\r\n")
    assert separator
    assert rest == b"body\r\n"
    assert line.split(b" ")[1:] == [subject.encode(), b"r", b"4"]


def test_a_subject_over_the_servers_line_is_refused() -> None:
    nats_api_wire.check_subject("a" * SUBJECT_BYTES_MAX)
    with pytest.raises(Invalid, match="too long"):
        nats_api_wire.check_subject("a" * (SUBJECT_BYTES_MAX + 1))
    with pytest.raises(Invalid, match="too long"):
        nats_api_wire.check_subject("☾" * (SUBJECT_BYTES_MAX // 2 + 1))


def test_headers_count_towards_the_limit() -> None:
    headers = {"K": "☾"}
    size = len(nats_api_wire.encode_headers(headers)) + 4
    assert nats_api_wire.encode_publish("a", "", b"body", headers, size)
    with pytest.raises(PayloadTooLarge) as refusal:
        nats_api_wire.encode_publish("a", "", b"body", headers, size - 1)
    assert (refusal.value.limit, refusal.value.value) == (size - 1, size)


@given(st.integers(0, 4 * 10**18))
def test_times_keep_their_nanoseconds(time: int) -> None:
    assert frames.decode_time(frames.encode_time(time)) == time


def test_times_are_read_as_the_server_writes_them() -> None:
    second = int(datetime(2023, 3, 11, 9, tzinfo=UTC).timestamp()) * 10**9
    assert frames.decode_time("2023-03-11T09:00:00Z") == second
    assert frames.decode_time("2023-03-11T09:00:00.5Z") == second + 500_000_000
    assert frames.decode_time("2023-03-11T09:00:00.000000001Z") == second + 1


@pytest.mark.parametrize(
    "reply",
    [
        b"$JS.ACK.S.c.2.7.5.1700000000000000001.9",
        b"$JS.ACK._.hash.S.c.2.7.5.1700000000000000001.9",
        b"$JS.ACK.hub.hash.S.c.2.7.5.1700000000000000001.9.random",
    ],
)
def test_a_delivery_is_read_from_all_forms_of_its_acknowledgement_subject(reply: bytes) -> None:
    delivery = decode_delivery(b"a.b", reply, b"x", b"NATS/1.0\r\nK: v\r\n\r\n")
    assert (delivery.attempt, delivery.sequence, delivery.consumer_sequence) == (2, 7, 5)
    assert delivery.time == 1700000000000000001
    assert (delivery.subject, delivery.reply) == ("a.b", reply.decode())
    assert delivery.headers == {"K": "v"}
