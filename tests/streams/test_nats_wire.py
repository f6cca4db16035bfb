"""The shorter way through nats-py, and that nats-py is still what it was written against."""

import asyncio
import hashlib
import inspect
import itertools

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import Parser

from moonlet.streams.api import Delivery, Disconnected, Sieve
from moonlet.streams.nats.limits import CONTROL_LINE_MAX
from moonlet.streams.nats.pull import decode_delivery
from moonlet.streams.nats.sift import Sifter
from moonlet.streams.nats.wire import NatsWire

# What `NatsWire` replaces or leans on. After an upgrade of nats-py, read what changed there, run
# the tests below and `test_nats_disconnects.py`, then take the new digests over.
LEANED_ON = {
    Client._attempt_reconnect: "2bbc96e0f2f765ec",
    Client._close: "9a92d3aca1b2c1fd",
    Client._connect_to_server: "1356d992325fde9f",
    Client._flush_pending: "317c8d7ef54b90b7",
    Client._flusher: "43957ffb357d6d94",
    Client._ping_interval: "e681a6d18db6add9",
    Client._process_connect_init: "e1ed2da075c82ab0",
    Client._process_err: "ceb70f44e38fa728",
    Client._process_op_err: "d4257cb1203cdbcb",
    Client._process_pong: "ee4c4d01a16de074",
    Client._read_loop: "b44b9401f436dd0e",
    Client._remove_sub: "0791939ce078f393",
    Client._send_ping: "d57b2f820443afb4",
    Client._send_subscribe: "d265ae9f821a007f",
    Client.connect: "a333807745c3c9fb",
    Client.new_inbox: "1e23641cb0a81301",
    Client.subscribe: "30bf1c4cc1c94806",
    Parser.parse: "7d6165f1766cccd1",
    Parser.reset: "0f304f3f8691385f",
    Subscription.__init__: "2802b4167b601689",
    Subscription._start: "ba636472c5d54b17",
    TcpTransport.connect: "96c97f9bad0501da",
}


@pytest.mark.parametrize("function", LEANED_ON, ids=lambda f: f.__qualname__)
def test_nats_py_is_what_this_was_written_against(function) -> None:  # type: ignore[no-untyped-def]
    digest = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    assert digest == LEANED_ON[function], f"{function.__qualname__} is now {digest}: read it"


Got = list[tuple[bytes, bytes, bytes, bytes | None]]

MESSAGES = (
    b"MSG a.b 1 5\r\nhello\r\n"
    b"MSG a 2 r.1 0\r\n\r\n"
    b"PING\r\n"
    b"HMSG a.c 1 r.2 18 23\r\nNATS/1.0\r\nK: v\r\n\r\nhello\r\n"
    b"MSG unknown 77 3\r\nxyz\r\n"
    b"+OK\r\n"
    b"HMSG a.d 2 18 18\r\nNATS/1.0 503 x\r\n\r\n\r\n"
    b"MSG a.e 1 4\r\n\r\n\r\n\r\n"
)
EXPECTED: Got = [
    (b"a.b", b"", b"hello", None),
    (b"a", b"r.1", b"", None),
    (b"a.c", b"r.2", b"hello", b"NATS/1.0\r\nK: v\r\n\r\n"),
    (b"a.d", b"", b"", b"NATS/1.0 503 x\r\n\r\n"),
    (b"a.e", b"", b"\r\n\r\n", None),
]


async def parse(chunks: list[bytes]) -> tuple[Got, bytes]:
    wire = NatsWire()
    wire._flush_queue = asyncio.Queue()
    got: Got = []
    for number in (b"1", b"2"):
        wire.handlers[number] = lambda *message: got.append(message)
    for chunk in chunks:
        await wire._ps.parse(chunk)
    assert not wire._ps.buf
    return got, b"".join(wire._pending)


def test_messages_reach_their_handlers_however_they_are_cut() -> None:
    async def check() -> None:
        assert await parse([MESSAGES]) == (EXPECTED, b"PONG\r\n")
        each = [MESSAGES[i : i + 1] for i in range(len(MESSAGES))]
        assert (await parse(each))[0] == EXPECTED

    asyncio.run(check())


@given(st.lists(st.integers(0, len(MESSAGES)), max_size=6))
def test_messages_reach_their_handlers_wherever_the_reads_end(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(MESSAGES)]
    chunks = [MESSAGES[a:b] for a, b in itertools.pairwise(ends)]
    got, _ = asyncio.run(parse(chunks))
    assert got == EXPECTED


def delivery(subject: bytes, number: int, body: bytes = b"x") -> bytes:
    reply = b"$JS.ACK.J.c.1.%d.%d.1700000000000000000.0" % (10 * number, number)
    head = b"NATS/1.0\r\nK: v\r\n\r\n"
    sizes = b"%d %d" % (len(head), len(head) + len(body))
    return b"HMSG %b 7 %b %b\r\n%b%b\r\n" % (subject, reply, sizes, head, body)


SIFTED = (
    MESSAGES
    + delivery(b"j.a", 1)
    + delivery(b"j.b", 2, b"MSG j.a 7 $JS.ACK. 3\r\nxyz\r\n")
    + MESSAGES
    + b"MSG j.a 7 $JS.ACK.J.c.1.30.3.1700000000000000000.0 2\r\n\r\n\r\n"
    + delivery(b"j.b", 4)
    + delivery(b"j.a", 5)
    + b"MSG inbox 7 0\r\n\r\n"
    + delivery(b"j.b", 6)
)


@given(st.lists(st.integers(0, len(SIFTED)), max_size=6))
def test_what_a_sieve_does_not_want_is_counted_and_passed_over_wherever_the_reads_end(
    cuts: list[int],
) -> None:
    asked: list[str] = []
    counted: list[tuple[int, int, int]] = []
    taken: list[Delivery] = []

    def wants(subject: str) -> bool:
        asked.append(subject)
        return subject == "j.a"

    async def check() -> None:
        wire = NatsWire()
        wire._flush_queue = asyncio.Queue()
        got: Got = []
        for number in (b"1", b"2", b"7"):
            wire.handlers[number] = lambda *message: got.append(message)
        sieve = Sieve(wants)

        def take(deliveries: list[Delivery]) -> None:
            counted.append((sieve.count, sieve.sequence, sieve.consumer_sequence))
            taken.extend(deliveries)

        wire.sift(7, Sifter(sieve, decode_delivery, take))
        ends = [0, *sorted(cuts), len(SIFTED)]
        for start, end in itertools.pairwise(ends):
            await wire._ps.parse(SIFTED[start:end])
        assert got == [*EXPECTED, *EXPECTED, (b"inbox", b"", b"", None)]

    asyncio.run(check())
    assert sorted(asked) == ["j.a", "j.b"]
    assert [(d.sequence, d.consumer_sequence, d.data) for d in taken] == [
        (10, 1, b"x"),
        (30, 3, b"\r\n"),
        (50, 5, b"x"),
    ]
    assert dict(taken[0].headers or {}) == {"K": "v"} and taken[1].headers is None
    assert counted[-1] == (6, 60, 6)
    assert all(sequence == 10 * count == 10 * last for count, sequence, last in counted)


async def test_a_large_message_arrives_in_many_reads() -> None:
    body = bytes(range(256)) * 4096
    frame = b"MSG a 1 %d\r\n%b\r\n" % (len(body), body)
    got, _ = await parse([frame[i : i + 30_000] for i in range(0, len(frame), 30_000)])
    assert got == [(b"a", b"", body, None)]


async def test_a_handler_that_raises_does_not_stop_the_others() -> None:
    wire = NatsWire()
    got: Got = []

    def fail(*message: object) -> None:
        raise RuntimeError("a handler's mistake")

    wire.handlers[b"1"] = fail
    wire.handlers[b"2"] = lambda *message: got.append(message)
    await wire._ps.parse(b"MSG a 1 1\r\nx\r\nMSG a 2 1\r\ny\r\n")
    assert got == [(b"a", b"", b"y", None)]


@pytest.mark.parametrize(
    "line",
    [
        b"MSG a\r\n",
        b"MSG a 1 x\r\n",
        b"MSG 1 3\r\nabc\r\n",
        b"HMSG a 1 5\r\nhello\r\n",
        b"NONSENSE\r\n",
    ],
)
async def test_nonsense_is_a_protocol_error_which_reconnects(line: bytes) -> None:
    wire = NatsWire()
    wire.handlers[b"1"] = lambda *message: None
    with pytest.raises(nats.errors.ProtocolError):
        await wire._ps.parse(line)


async def test_a_line_without_end_is_not_collected_for_ever() -> None:
    wire = NatsWire()
    with pytest.raises(nats.errors.ProtocolError):
        await wire._ps.parse(b"x" * (CONTROL_LINE_MAX + 1))


async def test_a_denied_subject_keeps_its_case() -> None:
    wire = NatsWire()
    denied: list[tuple[str, str]] = []
    wire.on_denied = lambda what, subject: denied.append((what, subject))
    await wire._ps.parse(b"-ERR 'Permissions Violation for Publish to \"Moon.cmd.A\"'\r\n")
    await wire._ps.parse(
        b'-ERR \'Permissions Violation for Subscription to "Moon.>" using queue "q"\'\r\n'
    )
    assert denied == [("Publish", "Moon.cmd.A"), ("Subscription", "Moon.>")]


async def test_an_answer_to_a_ping_that_was_given_up_is_harmless() -> None:
    wire = NatsWire()
    given_up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    given_up.cancel()
    wire._pongs.append(given_up)
    await wire._ps.parse(b"PONG\r\nPONG\r\n")


async def test_nothing_is_taken_before_the_connection_is_there() -> None:
    with pytest.raises(Disconnected):
        NatsWire().send(b"PUB a 0\r\n\r\n")
