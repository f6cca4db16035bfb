"""The Rust core reads what Python reads, and leaves alone all that Python would refuse."""

import asyncio
import itertools
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.core.errors import InvalidSettings
from moonlet.replay.index.facts import facts_of
from moonlet.streams import NATIVE, choose_native
from moonlet.streams.api import Delivery, Sieve
from moonlet.streams.native import SEAM
from moonlet.streams.nats.pull import NATIVE_DELIVERIES, NatsPull, PullCallbacks, decode_delivery
from moonlet.streams.nats.sift import Sifter
from moonlet.streams.nats.wire import NatsWire

EXAMPLES = int(os.environ.get("MOONLET_NATIVE_EXAMPLES", "300"))  # make native: many more

needs_core = pytest.mark.skipif(NATIVE.core is None, reason=f"no Rust core: {NATIVE.reason}")


class Core:
    """A module as it could be found."""

    def __init__(self, seam: object) -> None:
        self.SEAM = seam
        self.__version__ = "9.9"


def raising(error: Exception) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


def test_the_core_is_taken_as_the_setting_says_and_the_reason_is_told() -> None:
    mine: Any = Core(SEAM)
    for asked in ("", "auto", "require"):
        chosen = choose_native(asked, lambda: mine)
        assert chosen.core is mine and chosen.reason == "moonlet-native 9.9"
    assert choose_native("off", raising(AssertionError())).core is None
    for load, why in (
        (raising(ImportError("no module")), "it is not installed (no module)"),
        (raising(SystemError("bad file")), "it can't be loaded (SystemError: bad file)"),
        (lambda: Core(SEAM + 1), f"its seam is {SEAM + 1}, and {SEAM} is needed"),
        (lambda: Core(None), "its seam is None"),
        (lambda: object(), "it can't be loaded (AttributeError"),
    ):
        chosen = choose_native("auto", load)
        assert chosen.core is None and chosen.reason.startswith(why)
        assert chosen.reason.endswith("Python alone serves")
        with pytest.raises(InvalidSettings, match="install moonlet"):
            choose_native("require", load)
    with pytest.raises(InvalidSettings, match="say auto, off or require"):
        choose_native("yes")


def frame(subject: bytes, number: bytes, sid: bytes, body: bytes, headers: bytes) -> bytes:
    """A delivery as a server sends it, but for what the arguments spoil."""
    reply = b"$JS.ACK.J.c.1.%b.%b.1700000000000000000.0" % (number, number)
    if not headers:
        return b"MSG %b %b %b %d\r\n%b\r\n" % (subject, sid, reply, len(body), body)
    sizes = b"%d %d" % (len(headers), len(headers) + len(body))
    return b"HMSG %b %b %b %b\r\n%b%b\r\n" % (subject, sid, reply, sizes, headers, body)


frames = st.builds(
    frame,
    st.sampled_from([b"a", b"a.b", b"\xc3\xa9", b"\xff", b"a.wanted"]),
    st.sampled_from([b"1", b"2", b"30", b"9" * 19, b"9" * 25, b"+1", b"1_0", b""]),
    st.sampled_from([b"1", b"1", b"2", b"3", b"77"]),
    st.sampled_from([b"", b"{}", b"\r\n", b"MSG a 1 $JS.ACK. 2\r\n", b"x" * 300]),
    st.sampled_from(
        [
            b"",
            b"NATS/1.0\r\nK: v\r\n\r\n",
            b"NATS/1.0\r\nMoonlet-Encoding: msgpack\r\n\r\n",
            b"NATS/1.0\r\nMoonlet-Protocol: 2.0\r\n\r\n",
            b"NATS/1.0 503\r\n\r\n",
        ]
    ),
)
others = st.sampled_from(
    [
        b"PING\r\n",
        b"+OK\r\n",
        b"MSG b 2 3\r\nxyz\r\n",
        b"MSG b 1 _INBOX.1 3\r\nxyz\r\n",
        b"MSG  a  1  $JS.ACK.J.c.1.5.5.17.0  2\r\nhi\r\n",
        b"MSG a 1 $JS.ACK.J.c.1.5.5.17 2\r\nhi\r\n",
        b"MSG a 1 $JS.ACK.d.h.J.c.1.5.5.17.0 2\r\nhi\r\n",
        b"MSG a 1 $JS.ACK.d.h.J.c.1.5.5.17.0.rnd 2\r\nhi\r\n",
        b"HMSG a 1 $JS.ACK.J.c.1.5.5.17.0 5 2\r\nhi\r\n",
        b"MSG a 1 $JS.ACK.J.c.1.5.5.17.0 x\r\n",
        b"MSG\r\n",
        b"\r\n",
    ]
)


def taken(chunks: list[bytes], native: bool) -> list[Any]:
    """What a pull (1), a plain subscription (2) and a sifted pull (3) hear, and how it ends."""
    heard: list[Any] = []

    async def run() -> None:
        wire = NatsWire()
        wire._flush_queue = asyncio.Queue()
        wire.native = NATIVE_DELIVERIES if native else None
        told = PullCallbacks(
            lambda found: heard.extend(("pull", plainly(each)) for each in found),
            lambda status: heard.append(("status", status)),
            None,
        )
        pull = NatsPull(wire, "J", "c", "_INBOX.p", told)
        wire.handlers[b"1"] = pull.handler
        wire.gathered[b"1"] = pull
        wire.handlers[b"2"] = lambda *message: heard.append(("plain", message))
        sieve = Sieve(lambda subject: subject == "a.wanted")
        wire.handlers[b"3"] = lambda *message: heard.append(("odd", message))
        wire.sift(
            3,
            Sifter(
                sieve,
                decode_delivery,
                lambda found: heard.append(
                    ("sifted", sieve.count, sieve.sequence, [plainly(each) for each in found])
                ),
            ),
        )
        for chunk in chunks:
            await wire._ps.parse(chunk)
        heard.append(bytes(wire._ps.buf))

    try:
        asyncio.run(run())
    except Exception as error:
        heard.append(type(error))
    return heard


def plainly(delivery: Delivery) -> tuple[Any, ...]:
    """A delivery with all that can be read of it."""
    fields = msgspec.structs.astuple(delivery)
    return (*fields[:2], fields[2] and dict(fields[2]), *fields[3:])


@needs_core
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(frames | others, max_size=7), st.lists(st.integers(0, 900), max_size=3), st.data())
def test_the_same_is_heard_of_the_same_bytes(
    pieces: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    read = bytearray(b"".join(pieces))
    for _ in range(data.draw(st.integers(0, 2))):
        if read:
            read[data.draw(st.integers(0, len(read) - 1))] = data.draw(st.integers(0, 255))
    ends = [0, *sorted(min(cut, len(read)) for cut in cuts), len(read)]
    chunks = [bytes(read[a:b]) for a, b in itertools.pairwise(ends)]
    assert taken(chunks, native=True) == taken(chunks, native=False)


@needs_core
def test_a_mistake_of_whoever_asks_is_the_same_mistake() -> None:
    read = frame(b"a", b"1", b"3", b"{}", b"") * 2

    def ended(native: bool) -> tuple[object, int]:
        def wants(subject: str) -> bool:
            raise LookupError(subject)

        sifter = Sifter(Sieve(wants), decode_delivery, lambda found: None)
        way: Any = NATIVE_DELIVERIES if native else None
        with pytest.raises(LookupError) as caught:
            if way is None:
                from moonlet.streams.nats.sift import sift

                sift(read, 0, {b"3": sifter})
            else:
                way.sift(read, 0, {b"3": sifter})
        return str(caught.value), sifter.arrived

    assert ended(native=True) == ended(native=False) == ("a", 0)


COMMAND = {"id": "c-1", "name": "Do", "body": {"x": [1, {"y": None}]}, "sender": 'é\n"'}
COMMIT = {
    "agent": "a/b", "revision": 3, "outcome": "accepted", "command": COMMAND, "time": [17, 2],
    "reason": "why \u2028 \\", "events": [{"name": "Done", "body": 1}, {"name": "Told"}],
    "effects": [{"kind": "send", "target": "a/c", "message": {"name": "X", "body": {}}}],
}  # fmt: skip
values = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 3, -1, 2**62 - 1, 2**62, 2**63, 2**64, 10**30, 1.0, 1e300, "", "x", "é"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "kind", "id", "body"]), inner, max_size=2)
    ),
    max_leaves=4,
)
paths = st.sampled_from(
    [(key,) for key in COMMIT] + [("command", key) for key in ("id", "name", "sender", "new")]
)


def python_facts(data: bytes) -> Any:
    try:
        return facts_of(data, "json")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


@needs_core
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(paths, values), max_size=2), st.data())
def test_a_commits_facts_are_the_same_or_left_to_python(
    changes: list[tuple[tuple[str, ...], Any]], data: st.DataObject
) -> None:
    assert NATIVE.core is not None
    commit = msgspec.json.decode(msgspec.json.encode(COMMIT))
    for path, value in changes:
        place = commit
        for key in path[:-1]:
            place = place[key] if isinstance(place[key], dict) else {}
        place[path[-1]] = value
    written = bytearray(msgspec.json.encode(commit))
    for _ in range(data.draw(st.integers(0, 2))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    (found,) = NATIVE.core.commit_facts([bytes(written)])
    assert found is None or found == python_facts(bytes(written))


@needs_core
def test_ordinary_commits_are_not_left_to_python() -> None:
    assert NATIVE.core is not None
    data = msgspec.json.encode(COMMIT)
    assert NATIVE.core.commit_facts([data, b"", b"{}"]) == [facts_of(data, "json"), None, None]
    with pytest.raises(TypeError):
        NATIVE.core.commit_facts(["text"])  # type: ignore[list-item]
