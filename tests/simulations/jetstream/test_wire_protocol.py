"""The simulated server by bytes: word for word what nats-server says to the same bytes."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from moonlet.simulations import SilentDeath, SimulationRun
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.jetstream.wire import (
    HOST,
    PORT,
    Operation,
    ProtocolViolation,
    Reader,
    serve,
)
from moonlet.streams.server.server_process import ServerProcess

CONNECT = b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
Opener = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

HEADERS = b"NATS/1.0\r\nA: b\r\nC: d e\r\n\r\n"
WITH_HEADERS = b"HPUB foo back %d %d\r\n%shi\r\n" % (len(HEADERS), len(HEADERS) + 2, HEADERS)

CONVERSATIONS = {
    "greeting": [b""],
    "to itself": [b"SUB foo 1\r\n", b"PUB foo 2\r\nhi\r\nPUB foo back 0\r\n\r\n"],
    "headers": [b"SUB foo 7\r\n", WITH_HEADERS],
    "in pieces": [b"SUB foo 7\r\n", WITH_HEADERS[:9], WITH_HEADERS[9:40], WITH_HEADERS[40:]],
    "any case and spaces": [
        b"sub  foo \t 12\r\npub foo  2\r\nhi\r\nunsub 12\r\n",
        b"pub foo 0\r\n\r\n",
    ],
    "wildcards": [
        b"SUB a.* 1\r\nSUB b.> 2\r\n",
        b"PUB a.b 0\r\n\r\nPUB b.c.d 0\r\n\r\nPUB b 0\r\n\r\n",
    ],
    "the same number twice": [b"SUB a 1\r\nSUB b 1\r\n", b"PUB a 1\r\na\r\nPUB b 1\r\nb\r\n"],
    "unsubscribe": [b"SUB foo 1\r\nUNSUB 1\r\nUNSUB 99\r\n", b"PUB foo 0\r\n\r\n"],
    "nobody": [b"SUB back 1\r\n", b"PUB nobody back 0\r\n\r\n"],
    "nobody for headers": [b"SUB back 1\r\n", WITH_HEADERS],
    "no such stream": [
        b"SUB back 1\r\n",
        b"PUB $JS.API.DIRECT.GET.none back 2\r\n{}\r\n",
        b"PUB $JS.API.CONSUMER.MSG.NEXT.none.none back 2\r\n{}\r\n",
        b"PUB $JS.ACK.none.none.1.1.1.1.1 back 0\r\n\r\n",
    ],
    "bad subjects": [b"SUB foo..bar 1\r\n", b"SUB .foo 1\r\n", b"SUB foo. 1\r\n", b"SUB >.a 1\r\n"],
    "unknown operation": [b"SUB foo 1\r\nPUB foo 0\r\n\r\nHELLO world\r\nPUB foo 1\r\nx\r\n"],
    "no number": [b"PUB foo x\r\n"],
    "too many words": [b"PUB foo bar baz 0\r\n\r\n"],
    "too few words": [b"PUB foo\r\n"],
    "sub without a number": [b"SUB foo\r\n"],
    "unsub without a number": [b"UNSUB\r\n"],
    "headers longer than all": [b"HPUB foo 50 5\r\nABCDE\r\n"],
    "longer than it says": [b"PUB foo 3\r\nabcdef\r\n"],
    "too large": [b"PUB foo 1048577\r\n"],
    "a long line": [b"SUB " + b"a" * 5000 + b" 1\r\n"],
    "a long line without end": [b"SUB " + b"a" * 5000],
    "half a hello": [b"CONNECT {bad\r\n"],
}


async def read_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, step: bytes) -> bytes:
    """Send, and read what comes up to the answer to a PING, or the end."""
    writer.write(step if step and not step.endswith(b"\r\n") else step + b"PING\r\n")
    heard = b""
    try:
        async with asyncio.timeout(5 if step.endswith(b"\r\n") or not step else 0.2):
            while not heard.endswith(b"PONG\r\n"):
                data = await reader.read(65536)
                if not data:
                    return heard + b"<the end>"
                heard += data
    except ConnectionError:
        return heard + b"<the end>"
    except TimeoutError:
        pass
    return heard


async def converse(steps: list[bytes], opener: Opener) -> list[bytes]:
    """What a server says to each step; of INFO only that it came, and of PING nothing."""
    reader, writer = await opener()
    heard = [await reader.readline()]
    heard.append(await read_on(reader, writer, CONNECT))
    for step in steps:
        if heard[-1].endswith(b"<the end>"):
            break
        heard.append(await read_on(reader, writer, step))
    writer.transport.abort()
    cleaned = [re.sub(rb"(?m)^INFO .*\r\n|^PING\r\n", b"", text) for text in heard]
    return [*cleaned, b"INFO" if heard[0].startswith(b"INFO {") else b""]


def simulated(steps: list[bytes]) -> list[bytes]:
    async def main() -> list[bytes]:
        serve(MemoryServer())
        return await converse(steps, lambda: asyncio.open_connection(HOST, PORT))

    return SimulationRun(1).run(main)


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_the_simulated_server_says_what_a_real_one_says(
    name: str, shared_server: ServerProcess
) -> None:
    host, port = shared_server.url.removeprefix("nats://").split(":")
    steps = CONVERSATIONS[name]
    real = await converse(steps, lambda: asyncio.open_connection(host, int(port)))
    assert await asyncio.to_thread(simulated, steps) == real
    assert real[-1] == b"INFO"


BEYOND = {
    b"UNSUB 1 5\r\n": "end after so many",
    b"SUB foo abc\r\n": "not a number",
    b"HPUB foo 19 19\r\nNATS/1.0\r\nAB:cd\r\n\r\n\r\n": "written as",
    b"SUB $SYS.a 1\r\n": "messages on",
    b"PUB $JS.API.META.LEADER.STEPDOWN r 0\r\n\r\n": "META.LEADER",
    b'CONNECT {"verbose":true}\r\n': "verbose, no headers, no notice",
}  # fmt: skip


@pytest.mark.parametrize("step", BEYOND)
def test_what_the_model_does_not_cover_fails_the_run(step: bytes) -> None:
    with pytest.raises(SilentDeath, match=BEYOND[step]):
        simulated([step])


def test_a_client_that_does_not_introduce_itself_fails_the_run() -> None:
    async def main() -> None:
        serve(MemoryServer())
        _, writer = await asyncio.open_connection(HOST, PORT)
        writer.write(b"PING\r\n")
        await asyncio.sleep(1)
        writer.close()

    with pytest.raises(SilentDeath, match="begin with CONNECT"):
        SimulationRun(1).run(main)


def test_operations_are_the_same_however_the_bytes_are_cut() -> None:
    text = b"".join(
        (
            CONNECT,
            b"SUB a.b q 1\r\n",
            WITH_HEADERS,
            b"\r\nPING\r\nUNSUB 1\r\nPUB a b 3\r\n\r\nx\r\n",
        )
    )
    whole = list(Reader(1000).read(text))
    assert [operation.verb for operation in whole] == [
        "CONNECT", "SUB", "PUB", "PING", "UNSUB", "PUB",
    ]  # fmt: skip
    for size in range(1, len(text)):
        reader = Reader(1000)
        found: list[Operation] = []
        for start in range(0, len(text), size):
            found += reader.read(text[start : start + size])
        assert found == whole


def test_what_came_before_a_violation_counts() -> None:
    operations = Reader(1000).read(b"PUB a 0\r\n\r\nNONSENSE\r\n")
    assert next(operations).verb == "PUB"
    with pytest.raises(ProtocolViolation):
        next(operations)
