"""Poison, skip, retry, upcast; pause, resume, seek; the registry; what `explain` says."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.core.errors import Invalid, Unavailable
from moonlet.core.frontier import Frontier
from moonlet.core.schema import schema, upcast
from moonlet.projections import (
    At,
    DatabaseCorrupt,
    Fields,
    InvalidDatabase,
    InvalidView,
    JournalFault,
    LexCounter,
    PoisonedEvent,
    Replica,
    Roster,
    View,
    rebuild,
    survey,
)
from tests.faulty import until, until_true
from tests.projections.authors import FIELDS, JOURNALS, Opened, Rated, World, exposure_view


async def write(world: World, *events: Any, journal: str = "us") -> Frontier:
    sequence = await world.authors.append(f"{journal}/a", *events)
    return Frontier({world.stream(journal): sequence})


def strict_view() -> View:
    """Refuses amounts below zero, which some author recorded all the same."""
    view = View("strict", version=1, total=LexCounter)

    @view.on_event
    def opened(fields: Fields, event: Opened, at: At) -> None:
        fields.total.add(1)
        if event.usd < 0:
            raise ValueError("an amount below zero")
        fields.total.add(event.usd - 1)

    return view


async def poisoned(world: World, replica: Replica) -> PoisonedEvent:
    """Write two commits, a poisonous one and another; returns what stopped the replica."""
    await write(world, Opened("a", 1))
    await write(world, Opened("a", 2))
    await write(world, Opened("a", 3), Opened("a", -1), Opened("a", 4))
    await write(world, Opened("a", 5))
    await until(lambda: replica.failure is not None)
    assert isinstance(replica.failure, PoisonedEvent)
    return replica.failure


async def test_a_poisonous_event_stops_its_view_only_and_says_which(
    world: World, tmp_path: Path
) -> None:
    async with (
        Replica(world.moon, strict_view(), tmp_path / "strict.db") as strict,
        Replica(world.moon, exposure_view(), tmp_path / "other.db") as other,
    ):
        poison = await poisoned(world, strict)
        us = world.stream("us")
        assert (poison.view, poison.stream, poison.sequence) == ("strict", us, 3)
        assert (poison.index, poison.type) == (1, "Opened")
        assert isinstance(poison.__cause__, ValueError)
        for word in ("strict", us, "3", "Opened", "below zero", "skip", "upcast"):
            assert word in str(poison)
        assert strict.value == {"total": 3}, "what came before it is served"
        assert strict.durable == strict.frontier == Frontier({us: 2})
        with pytest.raises(PoisonedEvent):
            await strict.wait_for(Frontier({us: 4}))
        await other.wait_for(Frontier({us: 4}))
        assert other.value["total"] == 14


async def test_a_waiter_is_told_of_the_poison(world: World, tmp_path: Path) -> None:
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        token = Frontier({world.stream("us"): 1})
        await write(world, Opened("a", -1))
        with pytest.raises(PoisonedEvent):
            await replica.wait_for(token)


async def test_a_poisonous_commit_is_skipped_whole_and_stays_so(
    world: World, tmp_path: Path
) -> None:
    token = Frontier({world.stream("us"): 4})
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        await poisoned(world, replica)
        await replica.skip()
        await replica.wait_for(token)
        assert replica.value == {"total": 8}
        digest = replica.digest
        with pytest.raises(Invalid, match="nothing to skip"):
            await replica.skip()
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        assert replica.digest == digest
        await replica.seek(Frontier())
        await replica.resume()
        await replica.wait_for(token)
        assert replica.digest == digest


async def test_a_retry_stops_again_where_nothing_was_mended(world: World, tmp_path: Path) -> None:
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        poison = await poisoned(world, replica)
        await replica.retry()
        await until(lambda: replica.failure is not None)
        assert isinstance(replica.failure, PoisonedEvent)
        assert replica.failure.sequence == poison.sequence


async def test_mended_code_goes_on_from_the_same_file(world: World, tmp_path: Path) -> None:
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        await poisoned(world, replica)
    mended = View("strict", version=1, total=LexCounter)

    @mended.on_event
    def opened(fields: Fields, event: Opened, at: At) -> None:
        fields.total.add(max(event.usd, 0))

    async with Replica(world.moon, mended, tmp_path / "v.db") as replica:
        await replica.wait_for(Frontier({world.stream("us"): 4}))
        assert replica.value == {"total": 15}


async def test_an_event_of_an_older_shape_is_mended_by_an_upcaster(
    world: World, tmp_path: Path
) -> None:
    Old = msgspec.defstruct("Opened", [("protocol", str), ("amount", int)], frozen=True)
    await write(world, Old("a", 7))
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await until(lambda: replica.failure is not None)
        assert isinstance(replica.failure, PoisonedEvent)
        assert "usd" in str(replica.failure)

    @schema("Opened", version=2)
    class Opened2(msgspec.Struct, frozen=True):
        protocol: str
        usd: int

    @upcast("Opened", 1)
    def opened_from_1(body: dict[str, Any]) -> dict[str, Any]:
        return {"protocol": body["protocol"], "usd": body.get("usd", body.get("amount"))}

    mended = View("exposure", version=1, **FIELDS)

    @mended.on_event
    def opened(fields: Fields, event: Opened2, at: At) -> None:
        fields.total.add(event.usd)

    token = await write(world, Opened("a", 3))
    async with Replica(world.moon, mended, tmp_path / "v.db") as replica:
        await replica.wait_for(token)
        assert replica.value["total"] == 10


async def test_foreign_bytes_in_a_journal_stop_the_view_until_they_are_skipped(
    world: World, tmp_path: Path
) -> None:
    await write(world, Opened("a", 1))
    subject = f"{world.topology.prefix}.evt.us.stranger"
    await world.js.publish(subject, b"\x00rubbish", timeout=5)
    token = await write(world, Opened("a", 2))
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await until(lambda: replica.failure is not None)
        assert isinstance(replica.failure, PoisonedEvent)
        assert replica.failure.sequence == 2
        assert "stranger" in str(replica.failure)
        await replica.skip()
        await replica.wait_for(token)
        assert replica.value["total"] == 3


async def test_a_paused_replica_folds_nothing_and_a_resumed_one_all(
    world: World, tmp_path: Path
) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(await write(world, Opened("a", 1)))
        await replica.pause()
        token = await write(world, Opened("a", 2))
        with pytest.raises(Unavailable, match="paused"):
            await replica.wait_for(token, timeout=0.1)
        assert replica.value["total"] == 1
        await replica.resume()
        await replica.wait_for(token)
        assert replica.value["total"] == 3


async def test_seeking_shows_the_view_as_it_was_and_resuming_as_it_is(
    world: World, tmp_path: Path
) -> None:
    us, asia = world.stream("us"), world.stream("asia")
    digests = {}
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        for n in range(1, 6):
            await replica.wait_for(await write(world, Opened("a", n), Rated(f"r{n}")))
            digests[n] = replica.digest
        await replica.wait_for(await write(world, Rated("late"), journal="asia"))
        name = replica.name
        await replica.seek(Frontier({us: 3}))
        assert replica.frontier == replica.durable == Frontier({us: 3})
        assert replica.digest == digests[3]
        assert replica.value["total"] == 6
        assert list(replica.db.query("select value from total")) == [{"value": 6}]
        await replica.seek(Frontier({us: 5}))
        assert replica.digest == digests[5]
        with pytest.raises(Invalid, match="ends at 5"):
            await replica.seek(Frontier({us: 6}))
        await replica.resume()
        await replica.wait_for(Frontier({us: 5, asia: 1}))
        assert sorted(replica.value["risk"]) == ["late", "r5"]
        assert replica.name == name


async def test_the_frontier_rises_over_what_the_view_does_not_read(
    world: World, tmp_path: Path
) -> None:
    view = View("narrow", version=1, total=LexCounter)

    @view.on_event(source="us")
    def opened(fields: Fields, event: Opened, at: At) -> None:
        fields.total.add(event.usd)

    us = world.stream("us")
    async with Replica(world.moon, view, tmp_path / "v.db") as replica:
        await write(world, Opened("a", 2))
        sequence = await world.authors.append("desk/a", Opened("a", 5))
        elsewhere = await write(world, Opened("a", 5), journal="asia")
        await replica.wait_for(elsewhere.advanced(us, sequence))
        assert replica.value["total"] == 2
        assert replica.frontier == Frontier({us: 2})
        for n in range(5):
            await world.authors.append("desk/a", Opened("a", n))
        await until(lambda: replica.frontier.at(us) == 7)  # nobody waits, and it rises
        await replica.wait_for(await write(world, Opened("a", 1)))
        assert replica.value["total"] == 3
    async with Replica(world.moon, view, tmp_path / "v.db") as replica:
        assert replica.frontier == Frontier({us: 8})


async def test_waiting_for_what_no_journal_holds_ends_in_time_and_says_so(
    world: World, tmp_path: Path
) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(Frontier({"elsewhere": 9}))
        with pytest.raises(Unavailable, match="did not reach"):
            await replica.wait_for(Frontier({world.stream("us"): 9}), timeout=0.2)


async def test_an_open_replica_is_in_the_registry_however_slow_that_is(
    world: World, tmp_path: Path
) -> None:
    moon, hurt = await world.hurt_client()
    publish = hurt.publish

    async def slowly(*rest: Any, **options: Any) -> Any:
        await asyncio.sleep(0.2)  # sleeps: what the registry takes to answer
        return await publish(*rest, **options)

    hurt.publish = lambda *rest, **options: asyncio.create_task(  # type: ignore[attr-defined]
        slowly(*rest, **options)
    )
    async with Replica(moon, exposure_view(), tmp_path / "v.db") as replica:
        (entry,) = await Roster(world.moon.bus).replicas("exposure")
        assert (entry.replica, entry.standing) == (replica.name, "running")
        await replica.pause()
        await replica.resume()
        (entry,) = await Roster(world.moon.bus).replicas("exposure")
        assert entry.standing == "running"


async def test_the_registry_names_the_replicas_and_how_they_stand(
    world: World, tmp_path: Path
) -> None:
    roster = Roster(world.moon.bus)
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:

        async def standing() -> str:
            found = {entry.replica: entry for entry in await roster.replicas("strict")}
            return found[replica.name].standing if replica.name in found else ""

        async def is_(wanted: str) -> None:
            async def holds() -> bool:
                return await standing() == wanted

            await until_true(holds)

        await is_("running")
        await replica.pause()
        await is_("paused")
        await replica.resume()
        await poisoned(world, replica)
        await is_("PoisonedEvent")
    (entry,) = await roster.replicas()
    assert (entry.standing, entry.view, entry.version) == ("closed", "strict", 1)
    assert entry.durable == {world.stream(name): 2 * (name == "us") for name in JOURNALS}
    await roster.dismiss("strict", entry.replica)
    assert await roster.replicas() == []


async def test_without_journals_a_replica_says_what_is_missing(
    world: World, tmp_path: Path
) -> None:
    await world.js.request(f"$JS.API.STREAM.DELETE.{world.stream('eu')}", b"", timeout=5)
    with pytest.raises(JournalFault, match="start a host") as caught:
        async with Replica(world.moon, exposure_view(), tmp_path / "v.db"):
            pytest.fail("it was opened")
    assert caught.value.fault == "gone"
    with pytest.raises(InvalidView, match="no handler"):
        async with Replica(world.moon, View("idle", version=1, total=LexCounter), tmp_path / "i"):
            pytest.fail("it was opened")


async def test_explain_says_what_the_topology_in_force_asks_for(
    world: World, tmp_path: Path
) -> None:
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        plans = {plan.field: plan for plan in replica.explain()}
        assert plans["risk"].needs_crdt
        assert plans["risk"].journals == ("asia", "eu", "us")


async def test_a_new_version_is_built_beside_the_old_one_and_takes_its_place(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "v.db"
    async with Replica(world.moon, exposure_view(), path) as old:
        token = await write(world, Opened("a", 2))
        await old.wait_for(token)
        with pytest.raises(InvalidDatabase, match="exposure@1"):
            async with Replica(world.moon, exposure_view(version=2), path):
                pytest.fail("it was opened")
        assert await rebuild(world.moon, exposure_view(version=2), path) == token
        assert old.value["total"] == 2, "it serves until it would write"
        (entry,) = await Roster(world.moon.bus).replicas()
        assert entry.replica == old.name
        await write(world, Opened("a", 3))
        await until(lambda: old.failure is not None)
        assert isinstance(old.failure, DatabaseCorrupt)
        async with Replica(world.moon, exposure_view(version=2), path) as new:
            assert new.frontier.covers(token)
            await new.wait_for(token.advanced(world.stream("us"), 2))
            assert new.value["total"] == 5
    async with Replica(world.moon, exposure_view(version=2), path) as again:
        assert again.name == new.name
    assert os.listdir(tmp_path) == ["v.db"]


@pytest.mark.parametrize("content", ["text", "nothing", "a database", "another view"])
async def test_a_rebuild_replaces_no_file_but_its_views(
    world: World, tmp_path: Path, content: str
) -> None:
    await write(world, Opened("a", 2))
    path = tmp_path / "kept"
    if content == "a database":
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("CREATE TABLE mine (x)")
    elif content == "another view":
        await rebuild(world.moon, strict_view(), path)
    else:
        path.write_text("print('somebody needs this')" * 100 if content == "text" else "")
    before = path.read_bytes()
    with pytest.raises(InvalidDatabase, match="name another"):
        await rebuild(world.moon, exposure_view(), path)
    assert path.read_bytes() == before
    assert not (tmp_path / "kept.next").exists()
    with pytest.raises(InvalidDatabase):
        await rebuild(world.moon, exposure_view(), tmp_path / "kept" / "below")


async def test_a_survey_shows_who_is_how_far_and_who_is_of_another_kind(
    world: World, tmp_path: Path
) -> None:
    token = await write(world, Opened("a", 2))
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "a.db") as a,
        Replica(world.moon, exposure_view(), tmp_path / "b.db") as b,
        Replica(world.moon, exposure_view(version=2), tmp_path / "c.db") as c,
    ):
        for replica in (a, b, c):
            await replica.wait_for(token)
        found = {seen.replica: seen for seen in await survey(world.moon, a.view)}
        assert found.keys() == {a.name, b.name, c.name}
        assert found[a.name].frontier == found[a.name].durable == token
        assert found[a.name].digest == found[b.name].digest
        assert a.digest.startswith(found[a.name].digest)
        assert found[c.name].fault == "version"


async def test_changes_tell_of_every_move_and_of_the_end(world: World, tmp_path: Path) -> None:
    us = world.stream("us")
    async with Replica(world.moon, strict_view(), tmp_path / "v.db") as replica:
        changes = replica.changes()
        assert await anext(changes) == Frontier()
        for n in (1, 2):
            await write(world, Opened("a", n))
            assert await anext(changes) == Frontier({us: n})
        await replica.pause()
        await replica.resume()
        await write(world, Opened("a", -1))
        with pytest.raises(PoisonedEvent):
            await anext(changes)
