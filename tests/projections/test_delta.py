"""Deltas from outside: what is refused, why, and that nothing changes; frames; heartbeats."""

import struct
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
import zstandard

from moonlet.core.errors import PayloadTooLarge
from moonlet.core.frontier import Frontier
from moonlet.projections import (
    DeltaGap,
    DeltaRefused,
    Dot,
    JournalId,
    ViewState,
    apply_delta,
    make_delta,
)
from moonlet.projections.exchange.delta import MAX_DELTA
from moonlet.projections.exchange.frames import MAX_FRAME, MAX_PENDING, Assembly, split
from moonlet.projections.exchange.heartbeat import (
    differs,
    make_ask,
    make_heartbeat,
    read_ask,
    read_heartbeat,
)
from moonlet.projections.values import pack
from tests.projections.helpers import (
    Acknowledged,
    Opened,
    Raised,
    Rated,
    commit,
    exposure_view,
    journals,
    new_state,
)
from tests.projections.world import World


def giver() -> ViewState:
    state = new_state()
    state.fold(commit(3, Opened("aave", 5), Raised("a"), Rated("high")), "eu")
    state.fold(commit(2, Raised("a"), Rated("low")), "us")
    return state


def sealed(body: Any) -> bytes:
    """A delta of any body, with the right hash."""
    data = b"\x00" + (body if isinstance(body, bytes) else msgspec.msgpack.encode(body))
    return data + blake2b(data, digest_size=4).digest()


def body_of(state: ViewState) -> list[Any]:
    """The body of the full state as plain data: version, identity, since, steps, full, fields."""
    delta = make_delta(state)
    data = delta[1:-4] if delta[0] == 0 else zstandard.decompress(delta[1:-4])
    body: list[Any] = msgspec.msgpack.decode(data)
    return body


def refused(state: ViewState, delta: bytes, **limits: Frontier) -> DeltaRefused:
    before = state.canonical(), list(state.vector), state.digest
    with pytest.raises(DeltaRefused) as error:
        apply_delta(state, delta, **limits)
    assert (state.canonical(), state.vector, state.digest) == before
    return error.value


# -- whose it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        (lambda: ViewState(exposure_view(name="alerts"), journals()), "view"),
        (lambda: ViewState(exposure_view(version=2), journals()), "version"),
        (
            lambda: ViewState(
                exposure_view(),
                [JournalId(j.name, j.incarnation, ("moon.evt.aegis.*",)) for j in journals()],
            ),
            "filter",
        ),
        (lambda: ViewState(exposure_view(), journals("asia", "eu")), "filter"),
        (lambda: ViewState(exposure_view(), journals(incarnation="2026-02-02")), "incarnation"),
        (
            lambda: ViewState(exposure_view(), journals(), skipped=[Dot("eu:00000000", 7)]),
            "incarnation",
        ),
    ],
    ids=["view", "version", "filter", "journals", "incarnation", "skipped"],
)
def test_a_delta_of_another_view_version_filter_or_incarnation_is_refused(
    other: Callable[[], ViewState], fault: str
) -> None:
    sender = other()
    sender.fold(commit(1, Raised("x")), "eu")
    assert refused(giver(), make_delta(sender)).fault == fault


def test_a_frontier_past_the_journals_end_is_refused() -> None:
    delta = make_delta(giver())
    state = new_state()
    error = refused(state, delta, ends=Frontier.of({"eu": 2, "us": 9, "asia": 9}))
    assert error.fault == "ahead of the journal"
    assert "ends at 2" in str(error)
    assert apply_delta(state, delta, ends=Frontier.of({"eu": 3, "us": 2}))


def test_what_is_known_already_brings_nothing_and_a_gap_asks_again() -> None:
    state = giver()
    assert not apply_delta(state, make_delta(giver()))
    early = state.frontier
    state.fold(commit(4, Raised("b")), "eu")
    delta = make_delta(state, early)
    behind = new_state()
    before = behind.canonical()
    with pytest.raises(DeltaGap, match="ask for one since our own frontier"):
        apply_delta(behind, delta)
    assert behind.canonical() == before
    assert apply_delta(behind, make_delta(state, behind.frontier))
    assert behind.digest == state.digest


# -- damaged and forged ----------------------------------------------------------------------------


def test_every_truncation_and_every_changed_byte_is_refused() -> None:
    delta = make_delta(giver())
    state = new_state()
    for end in range(len(delta)):
        assert refused(state, delta[:end]).fault == "damaged"
    for place in range(len(delta)):
        changed = delta[:place] + bytes([delta[place] ^ 0x55]) + delta[place + 1 :]
        assert refused(state, changed).fault == "damaged"


def test_a_bomb_and_an_oversized_delta_are_refused_before_they_are_unpacked() -> None:
    state = new_state()
    frame = zstandard.ZstdCompressor().compress(b"\0" * 1_000)
    # A single-segment frame header that claims 2^60 bytes.
    bomb = frame[:4] + bytes([0xE0]) + struct.pack("<Q", 2**60) + frame[6:]
    data = b"\x01" + bomb
    with pytest.raises(PayloadTooLarge) as error:
        apply_delta(state, data + blake2b(data, digest_size=4).digest())
    assert error.value.limit == MAX_DELTA
    with pytest.raises(PayloadTooLarge):
        apply_delta(state, bytes(MAX_DELTA + 1))


EU3 = pack(3, 0, 1)
FORGERIES: dict[str, Callable[[list[Any]], None]] = {
    "a frontier of too few journals": lambda b: b[2].pop(),
    "steps of too many": lambda b: b[3].append(1),
    "a frontier below zero": lambda b: b[3].__setitem__(0, -5),
    "a frontier that no journal reaches": lambda b: b[3].__setitem__(0, 2**44),
    "steps over the end of numbers": lambda b: b[3].__setitem__(0, 2**64 - 1),
    "a field that isn't there": lambda b: b[5].__setitem__(99, []),
    "a field of another shape": lambda b: b[5].__setitem__(0, {"x": 1}),
    "a full state without a field": lambda b: b[5].pop(0),
    "a dot past the frontier": lambda b: b[5][0][0].__setitem__("x", pack(9, 0, 1)),
    "a dot of no journal": lambda b: b[5][0][0].__setitem__("x", pack(1, 0, 7)),
    "a dot below zero": lambda b: b[5][0][0].__setitem__("x", -1),
    "dots out of order": lambda b: b[5][0][1].__setitem__("a", [pack(3, 1, 1), pack(2, 0, 2)]),
    "one dot among several": lambda b: b[5][0][1].__setitem__("a", [EU3]),
    "something awaited that isn't ahead": lambda b: b[5][0][3].__setitem__("x", [EU3]),
    "something awaited of no journal": lambda b: b[5][0][3].__setitem__("x", [pack(9, 0, 7)]),
    "a counter past the frontier": lambda b: b[5][1][0].__setitem__("x", [pack(9, 0, 1), 5, 0, 0]),
    "a counter with two parts of one journal": lambda b: b[5][1][1].__setitem__(
        "x", [[EU3, 5, 0, 0], [EU3, 6, 0, 0]]
    ),
    "a counter without parts": lambda b: b[5][1][1].__setitem__("x", []),
    "a counter of words": lambda b: b[5][1][0].__setitem__("x", [EU3, "many", 0, 0]),
    "a counter without end": lambda b: b[5][1][0].__setitem__("x", [EU3, "Infinity", 0, 0]),
    "a reset of another journal": lambda b: b[5][1][0].__setitem__("x", [EU3, 5, pack(1, 0, 2), 5]),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_delta_is_refused_and_changes_nothing(what: str) -> None:
    body = body_of(giver())
    assert apply_delta(new_state(), sealed(body)), "unforged it is fine"
    FORGERIES[what](body)
    assert refused(new_state(), sealed(body)).fault == "forged"


def test_bytes_that_are_no_delta_are_refused() -> None:
    assert refused(new_state(), sealed(b"\xc1\xff")).fault == "forged"
    assert refused(new_state(), sealed({"a": 1})).fault == "forged"
    data = b"\x01not zstd at all"
    assert refused(new_state(), data + blake2b(data, digest_size=4).digest()).fault == "damaged"


def test_two_values_of_one_dot_are_told() -> None:
    """What fold code of two minds under one version leads to."""

    def state_with(risk: str) -> ViewState:
        state = new_state()
        state.fold(commit(1, Rated(risk)), "eu")
        return state

    there = state_with("low")
    there.fold(commit(1, Raised("a")), "us")
    error = refused(state_with("high"), make_delta(there))
    assert "two values of one dot" in str(error)


def test_a_counter_whose_totals_differ_at_one_dot_is_told() -> None:
    def state_with(usd: int) -> ViewState:
        state = new_state()
        state.fold(commit(1, Opened("aave", usd)), "eu")
        return state

    there = state_with(6)
    there.fold(commit(1, Raised("a")), "us")
    assert "two totals" in str(refused(state_with(5), make_delta(there)))


# -- size ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [0, 3_000])
def test_the_delta_of_one_key_is_small_and_does_not_grow_with_history(history: int) -> None:
    """64 bytes beyond key and value, with four journals whose sequences are in the billions."""
    state = ViewState(exposure_view(), [JournalId(n, "x") for n in ("asia", "eu", "us", "za")])
    start = 4_000_000_000
    for name in state.journals.names:
        state.advance(name, start)
    for number in range(history):
        events = Raised(f"a{number % 50}"), Acknowledged(f"a{number % 50}")
        state.fold(commit(start + 1 + number, *events), "us")
    since = state.frontier
    key, value = "position-0001", "x" * 16
    state.fold(commit(start + history + 1, Raised(key)), "us")
    assert len(make_delta(state, since)) <= 64 + len(key)
    since = state.frontier
    state.fold(commit(start + history + 2, Rated(value)), "us")
    assert len(make_delta(state, since)) <= 64 + len(value)


# -- frames ----------------------------------------------------------------------------------------


def large_delta() -> bytes:
    return bytes(range(256)) * 3_000


def test_a_small_delta_is_its_own_frame() -> None:
    delta = make_delta(giver())
    assert split(delta) == [delta]
    assert Assembly().add(delta) == delta


def test_frames_come_in_any_order_and_twice() -> None:
    delta = large_delta()
    frames = split(delta)
    assert len(frames) == 3
    assert all(len(frame) <= MAX_FRAME for frame in frames)
    assembly = Assembly()
    assert assembly.add(frames[2]) is None
    assert assembly.add(frames[0]) is None
    assert assembly.add(frames[0]) is None
    assert assembly.add(frames[1]) == delta


def test_wrong_frames_are_refused() -> None:
    frames = split(large_delta())
    id_, part, parts, data = msgspec.msgpack.decode(frames[0][1:])

    def frame(*fields: Any) -> bytes:
        return b"\x02" + msgspec.msgpack.encode(fields)

    wrong_number = frame(id_, parts, parts, data), frame(id_, -1, parts, data)
    wrong = {
        "damaged": [frames[0][:-9], b"\x02", b"\x02\xc1"],
        "forged": [*wrong_number, frame(b"", 0, 1, b"")],
    }
    for fault, examples in wrong.items():
        for example in examples:
            with pytest.raises(DeltaRefused) as error:
                Assembly().add(example)
            assert error.value.fault == fault
    for too_large in (bytes(MAX_FRAME + 1), frame(id_, 0, 10**6, data)):
        with pytest.raises(PayloadTooLarge):
            Assembly().add(too_large)
    assembly = Assembly()
    assembly.add(frames[0])
    with pytest.raises(DeltaRefused, match="contradict"):
        assembly.add(frame(id_, part, parts, data[:-1]))
    assembly = Assembly()
    for good in frames[:2]:
        assembly.add(good)
    with pytest.raises(DeltaRefused, match="don't add up"):
        assembly.add(frame(id_, 2, parts, b"else"))


def test_incomplete_deltas_are_bounded() -> None:
    assembly = Assembly()
    first = split(large_delta())
    assembly.add(first[0])
    for number in range(MAX_PENDING):
        assembly.add(split(large_delta() + bytes([number]))[0])
    for frame in first[1:]:
        assert assembly.add(frame) is None, "its first frame is forgotten"


# -- heartbeats ------------------------------------------------------------------------------------


def test_a_heartbeat_of_eight_journals_fits_128_bytes() -> None:
    eight = [JournalId(f"journal-{n}", "2026-01-01") for n in range(8)]
    state = ViewState(exposure_view(), eight)
    for name in state.journals.names:
        state.advance(name, 4_000_000_000)
    durable = Frontier.of(dict.fromkeys(state.journals.names, 4_000_000_000 - 100_000))
    data = make_heartbeat(state, "r" * 22, durable=durable, digest=state.digest)
    assert len(data) <= 128
    heartbeat = read_heartbeat(state, data)
    assert heartbeat.vector == state.vector
    assert heartbeat.lag == [100_000] * 8
    assert not differs(state, heartbeat, state.digest)


def test_at_an_equal_frontier_an_unequal_digest_is_told() -> None:
    one, two = new_state(), new_state()
    one.fold(commit(1, Rated("high")), "eu")
    two.fold(commit(1, Rated("low")), "eu")
    data = make_heartbeat(two, "b", durable=two.frontier, digest=two.digest)
    assert differs(one, read_heartbeat(one, data), one.digest)
    silent = make_heartbeat(two, "b", durable=two.frontier)
    assert not differs(one, read_heartbeat(one, silent), one.digest)
    two.fold(commit(2, Rated("low")), "eu")
    ahead = make_heartbeat(two, "b", durable=two.frontier, digest=two.digest)
    assert not differs(one, read_heartbeat(one, ahead), one.digest)


def test_heartbeats_and_requests_of_others_are_refused() -> None:
    state = new_state()
    other = ViewState(exposure_view(version=2), journals())
    for data, read in (
        (make_heartbeat(other, "b", durable=other.frontier), read_heartbeat),
        (make_ask(other), read_ask),
    ):
        with pytest.raises(DeltaRefused) as error:
            read(state, data)
        assert error.value.fault == "version"
        with pytest.raises(DeltaRefused) as error:
            read(state, data[:-3])
        assert error.value.fault == "damaged"
    assert read_ask(state, make_ask(giver())) == giver().frontier


def test_a_request_is_answered_with_what_its_sender_misses() -> None:
    world = World().run(list(range(40)))
    one, two, _ = world.replicas
    since = read_ask(one, make_ask(two))
    apply_delta(two, make_delta(one, since))
    assert two.frontier.covers(one.frontier)
