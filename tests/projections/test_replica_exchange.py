"""Replicas of one view talk: heartbeats, deltas, joining; and what must be refused of them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from moonlet.core.errors import MoonletError, PayloadTooLarge, Unavailable
from moonlet.core.frontier import Frontier
from moonlet.projections import Replica, Roster
from moonlet.projections.errors import DeltaRefused
from moonlet.projections.exchange import make_delta, make_heartbeat
from moonlet.projections.exchange.frames import MAX_FRAME, split
from moonlet.projections.exchange.transfer import FRAME, OFFER, REFUSAL, Offer, take
from moonlet.projections.replica.peers import PeerExchange
from moonlet.projections.view import ViewState, heartbeat_subject, replica_subject
from moonlet.streams import Message
from tests.faulty import until
from tests.projections.authors import (
    Acknowledged,
    Flagged,
    Opened,
    Rated,
    World,
    exposure_view,
)


def exchange_of(replica: Replica) -> PeerExchange:
    assert replica._lifecycle.tasks is not None
    return replica._lifecycle.tasks.exchange


def state_of(replica: Replica) -> ViewState:
    return replica._lifecycle.held().state


async def fill(world: World, commits: int, journal: str = "us") -> Frontier:
    """Commits by a hundred agents, in few flights."""
    last = 0
    for start in range(0, commits, 100):
        agents = range(min(100, commits - start))
        last = max(
            await world.authors.append_all(
                (f"{journal}/a{n}", [Opened(f"p{start + n}", 1)]) for n in agents
            )
        )
    return Frontier({world.stream(journal): last})


async def test_a_replica_cut_off_from_a_journal_catches_up_from_another(
    world: World, tmp_path: Path
) -> None:
    first = await fill(world, 3)
    moon, hurt = await world.hurt_client()
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "a.db") as a,
        Replica(moon, exposure_view(), tmp_path / "b.db") as b,
    ):
        await b.wait_for(first)
        hurt.cut = {world.stream("us")}
        await world.authors.append("us/b", Flagged("depeg"), Rated("high"))
        token = Frontier({world.stream("us"): await world.authors.append("us/b", Opened("x", 7))})
        await a.wait_for(token)
        await b.wait_for(token, timeout=10)
        assert hurt.lost  # so it did not come from the journal
        assert b.value == a.value
        assert b.digest == a.digest
        hurt.cut = set()
        token = Frontier({world.stream("us"): await world.authors.append("us/b", Opened("x", 1))})
        await b.wait_for(token, timeout=10)
        assert b.value["total"] == 11


async def test_concurrent_intent_of_two_replicas_that_were_apart_stays_visible(
    world: World, tmp_path: Path
) -> None:
    end = await world.authors.append("us/a", Flagged("depeg"), Rated("low"))
    start = Frontier({world.stream("us"): end})
    moon, hurt = await world.hurt_client()
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "a.db") as a,
        Replica(moon, exposure_view(), tmp_path / "b.db") as b,
    ):
        await a.wait_for(start)
        await b.wait_for(start)
        hurt.deaf, hurt.cut = True, {world.stream("asia"), world.stream("us")}
        _, seen = a.read("risk")
        _, alert = a.read("alerts", "depeg")
        asia = await world.authors.append("asia/a", Rated("high", seen))
        us = await world.authors.append("us/a", Acknowledged("depeg", alert))
        _, seen = b.read("risk")
        eu = await world.authors.append("eu/a", Rated("medium", seen), Flagged("depeg"))
        token = Frontier({world.stream("asia"): asia, world.stream("eu"): eu})
        await b.wait_for(Frontier({world.stream("eu"): eu}))
        assert b.read("risk")[0] == ["medium"]
        await a.wait_for(token)
        hurt.deaf, hurt.cut = False, set()
        await b.wait_for(token.advanced(world.stream("us"), us), timeout=10)
        assert sorted(a.read("risk")[0]) == ["high", "medium"]
        assert a.value["alerts"] == ["depeg"], "acknowledged by one, raised again by the other"
        assert (a.value, a.digest) == (b.value, b.digest)
        _, seen = b.read("risk")
        asia = await world.authors.append("asia/a", Rated("settled", seen))
        await a.wait_for(Frontier({world.stream("asia"): asia}))
        assert a.read("risk")[0] == ["settled"]


async def test_a_replica_far_behind_joins_from_a_peer_in_many_frames(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.projections.replica.tasks.FAR_BEHIND", 1_000)
    monkeypatch.setattr("moonlet.projections.exchange.frames.MAX_FRAME", 512)
    monkeypatch.setattr("moonlet.projections.exchange.frames._ROOM", 448)
    token = await fill(world, 1_500)
    moon, _ = await world.hurt_client()
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        await a.wait_for(token)
        frames = split(make_delta(state_of(a)))
        assert len(frames) > 5
        async with Replica(moon, exposure_view(), tmp_path / "b.db") as b:
            # It is there at once: nothing was folded yet.
            assert b.frontier == a.frontier
            assert state_of(b).marks == state_of(a).marks
            assert b.durable == b.frontier
            assert b.digest == a.digest
            last = await fill(world, 1)
            await b.wait_for(last)
            assert b.value["total"] == 1_501


async def test_a_replica_without_peers_joins_from_the_snapshot(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.projections.replica.tasks.FAR_BEHIND", 100)
    monkeypatch.setattr("moonlet.projections.exchange.frames.MAX_FRAME", 1_024)
    monkeypatch.setattr("moonlet.projections.exchange.frames._ROOM", 1_000)
    token = await fill(world, 300)
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        await a.wait_for(token)
        await a.snapshot()
        await fill(world, 10)
        await a.wait_for(token.advanced(world.stream("us"), 310))
        await a.snapshot()
        digest = a.digest
        subjects = await world.js.stream_subjects(world.topology.stream("snapshots"), ">")
        heads = {subject.split(".")[-2] for subject in subjects if not subject.endswith("head")}
        assert len(heads) == 1, "the snapshot before is removed"
    async with Replica(world.moon, exposure_view(), tmp_path / "b.db") as b:
        assert b.frontier.at(world.stream("us")) == 310
        assert b.digest == digest
    async with Replica(world.moon, exposure_view(version=2), tmp_path / "c.db") as c:
        assert c.frontier.at(world.stream("us")) == 0, "the snapshot is another version's"
        await c.wait_for(token)


async def test_an_older_versions_snapshot_stays_while_the_registry_knows_a_replica_of_it(
    world: World, tmp_path: Path
) -> None:
    async def versions() -> set[str]:
        subjects = await world.js.stream_subjects(world.topology.stream("snapshots"), ">")
        return {subject.split(".")[-2] for subject in subjects if subject.endswith("head")}

    token = await fill(world, 3)
    roster = Roster(world.moon.bus)
    names = []
    for version in (1, 3):
        view = exposure_view(version=version)
        async with Replica(world.moon, view, tmp_path / f"{version}.db") as replica:
            await replica.wait_for(token)
            await replica.snapshot()
            names.append(replica.name)
    async with Replica(world.moon, exposure_view(version=2), tmp_path / "2.db") as replica:
        await replica.snapshot()
        assert await versions() == {"1", "2", "3"}, "the first one may come back"
        for name in names:
            await roster.dismiss("exposure", name)
        await replica.snapshot()
        assert await versions() == {"2", "3"}, "a newer version's is not ours to remove"
        subjects = await world.js.stream_subjects(world.topology.stream("snapshots"), ">")
        assert not [subject for subject in subjects if ".exposure.1." in subject]
        await roster.dismiss("exposure", replica.name)
        await replica.snapshot()
        assert await versions() == {"2", "3"}


async def test_a_replica_fills_a_hole_in_a_journal_from_a_peer(
    world: World, tmp_path: Path
) -> None:
    name = world.stream("us")
    await world.js.request(f"$JS.API.STREAM.DELETE.{name}", b"", timeout=5)
    subjects = [f"{world.topology.prefix}.evt.us.*"]
    config = {"name": name, "subjects": subjects, "allow_atomic": True, "allow_direct": True}
    await world.js.create_stream(config)
    token = await fill(world, 20)
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        await a.wait_for(token)
        await world.js.request(f"$JS.API.STREAM.PURGE.{name}", b'{"keep": 5}', timeout=5)
        async with Replica(world.moon, exposure_view(), tmp_path / "b.db") as b:
            await b.wait_for(token)
            assert b.value["total"] == 20
            assert b.digest == a.digest


async def test_a_session_reads_on_at_another_replica_what_it_has_read_at_one(
    world: World, tmp_path: Path
) -> None:
    moon, hurt = await world.hurt_client()
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "a.db") as a,
        Replica(moon, exposure_view(), tmp_path / "b.db") as b,
    ):
        hurt.deaf, hurt.cut = True, {world.stream("us")}
        await a.wait_for(await fill(world, 5))
        session = a.frontier
        with pytest.raises(Unavailable, match="us"):
            await b.wait_for(session, timeout=0.1)
        waiting = asyncio.create_task(b.wait_for(session, timeout=10))
        hurt.deaf, hurt.cut = False, set()
        await waiting
        assert b.frontier.covers(session)
        assert b.value == a.value


async def test_at_rest_replicas_say_little_and_exchange_no_data(
    world: World, tmp_path: Path
) -> None:
    token = await fill(world, 5)
    moon, hurt = await world.hurt_client()
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "a.db") as a,
        Replica(moon, exposure_view(), tmp_path / "b.db") as b,
    ):
        await a.wait_for(token)
        await b.wait_for(token)
        await until(lambda: any(p.heartbeat.digest for p in exchange_of(b).peers.values()))
        beats = heartbeat_subject(moon.bus, b.view)
        hurt.posted.clear()
        await until(lambda: len(hurt.posted) >= 2)
        assert {subject for subject, _ in hurt.posted} == {beats}
        assert max(len(data) for _, data in hurt.posted) <= 128
        assert exchange_of(b).diverged == set()


async def test_unequal_digests_at_one_frontier_are_noticed_and_the_other_isnt_asked(
    world: World, tmp_path: Path
) -> None:
    token = await fill(world, 5)
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        await a.wait_for(token)
        digest = a.digest
        wrong = make_heartbeat(state_of(a), "liar", durable=a.durable, digest=digest[::-1])
        world.js.post(heartbeat_subject(world.moon.bus, a.view), wrong)
        await until(lambda: exchange_of(a).diverged == {"liar"})
        right = make_heartbeat(state_of(a), "liar", durable=a.durable, digest=digest)
        world.js.post(heartbeat_subject(world.moon.bus, a.view), right)
        await until(lambda: exchange_of(a).diverged == set())


# -- what is forged ------------------------------------------------------------------------------


class Liar:
    """A peer that claims to be ahead and answers every request as it is told."""

    def __init__(self, world: World, victim: Replica, answer: Callable[[Message], bytes]) -> None:
        self._world = world
        self._victim = victim
        self._answer = answer
        self.asked = 0

    async def lie(self) -> None:
        """Claim to be far ahead, once the victim can't read a journal itself."""
        state = ViewState(self._victim.view, state_of(self._victim).journals.ids)
        state.vector[:] = [n + 10_000 for n in state_of(self._victim).vector]
        bus = self._world.moon.bus
        subject = replica_subject(bus, self._victim.view, "liar")
        await bus.subscribe(subject, self._reply)
        beat = make_heartbeat(state, "liar", durable=Frontier())
        bus.post(heartbeat_subject(bus, self._victim.view), beat)

    def _reply(self, message: Message) -> None:
        self.asked += 1
        self._world.js.post(message.reply, self._answer(message))


def offer(frames: int, first: bytes, marks: int = 3) -> bytes:
    return OFFER + msgspec.msgpack.encode(Offer(1, frames, [(0, "")] * marks, first))


def ahead(replica: Replica, by: int) -> bytes:
    """A delta that claims a frontier past the journals' ends."""
    state = ViewState(replica.view, state_of(replica).journals.ids)
    for name, at in zip(state.journals.names, state_of(replica).vector, strict=True):
        state.advance(name, at + by)
    return make_delta(state)


LIES: dict[str, Callable[[Replica, Message], bytes]] = {
    "noise": lambda r, m: b"\x00\xffnoise",
    "nothing": lambda r, m: b"",
    "refusal": lambda r, m: REFUSAL + b"\xff\xfe",
    "an offer that is none": lambda r, m: OFFER + b"\xc1",
    "a delta that is none": lambda r, m: offer(1, b"\x00\xffnoise"),
    "a cut off delta": lambda r, m: offer(1, make_delta(state_of(r))[:-5]),
    "marks of too many journals": lambda r, m: offer(1, make_delta(state_of(r)), marks=300),
    "too many frames": lambda r, m: offer(10**9, b"\x02"),
    "no frames": lambda r, m: offer(0, b"\x02"),
    "an oversized frame": lambda r, m: offer(1, b"\x02" * (MAX_FRAME + 1)),
    "frames that don't come": lambda r, m: (
        offer(3, split(make_delta(state_of(r)) + bytes(3 * MAX_FRAME))[0])
        if m.data[:1] == b"a"
        else FRAME + b"\x02\xff"
    ),
    "frames of something else": lambda r, m: (
        offer(4, split(bytes(3 * MAX_FRAME))[0])
        if m.data[:1] == b"a"
        else FRAME + split(bytes(range(256)) * (3 * MAX_FRAME // 256))[1]
    ),
    "a frontier ahead of the journals": lambda r, m: offer(1, ahead(r, 9_000)),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_forged_answer_is_refused_and_changes_nothing(
    world: World, tmp_path: Path, lie: str
) -> None:
    token = await fill(world, 5)
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        await a.wait_for(token)
        before = a.value, a.digest, a.frontier, state_of(a).marks
        liar = Liar(world, a, lambda message: LIES[lie](a, message))
        await liar.lie()
        await until(lambda: exchange_of(a).refused.total() > 0)
        assert liar.asked
        assert (a.value, a.digest, a.frontier, state_of(a).marks) == before
        assert a.failure is None
        await a.wait_for(await fill(world, 5))


async def test_a_delta_of_another_history_is_refused_by_its_marks(
    world: World, tmp_path: Path
) -> None:
    token = await fill(world, 5)
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        await a.wait_for(token)
        stale = make_delta(state_of(a))
        marks = [(n, "0" * 32) if n else (0, "") for n, _ in state_of(a).marks]
        forged = OFFER + msgspec.msgpack.encode(Offer(1, 1, marks, stale))
        liar = Liar(world, a, lambda message: forged)
        await liar.lie()
        await until(lambda: exchange_of(a).refused["incarnation"] > 0)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", DeltaRefused),
        (b"a", DeltaRefused),
        (b"a\xc1", DeltaRefused),
        (b"p\x92\x01\x05", DeltaRefused),
        (b"p\x92\x01\xff", DeltaRefused),
        (b"zzz", DeltaRefused),
    ],
)
async def test_a_forged_request_is_refused_and_stops_nobody(
    world: World, tmp_path: Path, data: bytes, error: type[MoonletError]
) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        subject = replica_subject(world.moon.bus, a.view, exchange_of(a).name)
        answer = await world.js.request(subject, data, timeout=2)
        assert answer.data[:1] == REFUSAL
        world.js.post(heartbeat_subject(world.moon.bus, a.view), data)
        world.js.post(subject, data)  # without a reply
        await until(lambda: exchange_of(a).refused.total() > 0)
        await a.wait_for(await fill(world, 1))


async def test_a_peer_that_never_answers_costs_nothing_but_time(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.projections.exchange.transfer.ANSWER_SECONDS", 0.05)
    async with Replica(world.moon, exposure_view(), tmp_path / "a.db") as a:
        with pytest.raises(Unavailable):
            await take(world.moon.bus, "nobody.is.here", state_of(a))
        await world.js.subscribe("mute.peer", lambda message: None)
        with pytest.raises(Unavailable):
            await take(world.moon.bus, "mute.peer", state_of(a))
        assert issubclass(PayloadTooLarge, MoonletError)
