"""The index follows journals, is rebuilt when they are others, and answers as a scan does."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import Corrupt, Invalid, InvalidSettings, Unavailable
from moonlet.replay import BundleSource, ScanLookup, ServerSource, commits_of, effects, why
from moonlet.replay.index import INDEX_VERSION, Index, IndexLookup, follow, open_database
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type
from tests.console.support import invoke

RECORD = (
    b'{"agent":"stock/tea","revision":%s,"outcome":"accepted","time":[1,0],'
    b'"command":{"id":"x","name":"Go"}}'
)


@pytest.fixture
async def made(shop: BundleSource) -> AsyncIterator[Index]:
    database = open_database(None)
    assert await follow(database, shop) > 10
    yield Index(database)
    database.close()


async def test_every_commit_is_found_by_all_that_names_it(shop: BundleSource, made: Index) -> None:
    count = 0
    for agent in await shop.agents():
        async for commit in commits_of(shop, agent):
            count += 1
            hit = made.commit(str(agent), commit.revision)
            assert hit is not None and hit.sequence == commit.sequence
            assert (hit.command, hit.name) == (commit.command.id, commit.command.name)
            assert (hit.outcome, hit.reason) == (commit.outcome, commit.reason)
            assert hit.events == [event.name for event in commit.events]
            assert hit in made.of_command(commit.command.id)
            assert made.revision_at(str(agent), commit.time.micros) == commit.revision
    assert made.count() == count == sum(bucket.commits for bucket in made.buckets())
    assert made.frontier() == {f.stream: f.last for f in await shop.journals()}
    assert made.commit("order/a", 99) is None and made.of_command("nobody") == []
    assert made.revision_at("order/a", 0) == 0


async def test_causes_are_the_same_by_the_index_as_by_a_scan(
    shop: BundleSource, made: Index
) -> None:
    by_index, by_scan = IndexLookup(made, shop), ScanLookup(shop)
    for agent in await shop.agents():
        async for commit in commits_of(shop, agent):
            assert await why(by_index, commit) == await why(by_scan, commit)
            assert await effects(by_index, commit) == await effects(by_scan, commit)
            conversation = commit.command.correlation_id or commit.command.id
            found = await by_index.of_correlation(conversation)
            assert found == await by_scan.of_correlation(conversation)


async def test_words_are_found_and_none_is_an_operator(shop: BundleSource, made: Index) -> None:
    assert {hit.name for hit in made.search("SoldOut")} == {"SoldOut"}
    assert {hit.agent for hit in made.search("refill stock/tea")} == {"stock/tea"}
    assert [hit.outcome for hit in made.search('"paid already"')] == ["rejected"]
    assert made.search("blue") == [], "bodies only where asked"
    with_bodies = open_database(None)
    await follow(with_bodies, shop, bodies=True)
    assert {hit.agent for hit in Index(with_bodies).search("blue")} == {"order/a"}
    with_bodies.close()
    for text in ("NOT", "a OR b", "text:x", "x*", "(", 'a "b', "^a", "a NEAR b"):
        try:
            made.search(text)
        except Invalid as error:
            assert "no word" in str(error)
    assert len(made.search("tea", most=2)) == 2


async def test_it_goes_on_from_its_frontier_and_is_rebuilt_for_another_journal(
    own_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.sqlite"

    async def indexed() -> tuple[int, int]:
        database = open_database(file)
        try:
            new = await follow(database, ServerSource(moon.bus))
            return new, Index(database).count()
        finally:
            database.close()

    async with connect(own_server.url, topology=Topology(prefix=name)) as moon:
        assert await indexed() == (0, 0), "there is no journal yet"
        async with Host(moon, [account_type()]):
            for _ in range(3):
                await moon.ask("account/a", Deposit(1))
            assert await indexed() == (3, 3)
            await moon.ask("account/b", Deposit(1))
            assert await indexed() == (1, 4) and await indexed() == (0, 4)
        stream = moon.bus.topology.journal_stream("main")
        await moon.bus.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=5)
        assert await indexed() == (0, 4), "a journal that is gone takes nothing away"
    fresh = Topology(prefix=name)
    async with connect(own_server.url, topology=fresh) as moon:
        journal = next(c for c in fresh.configs() if c["name"] == stream)
        await moon.bus._js.create_stream(journal)
        assert await indexed() == (0, 0), "it was made anew"


async def test_a_journal_that_went_back_is_read_again(shop: BundleSource, tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.sqlite")
    await follow(database, shop)
    whole = Index(database).count()
    bundle = shop._bundle
    streams = [
        msgspec.structs.replace(held, messages=held.messages[:3], last=held.messages[2].sequence)
        if held.name.endswith("orders")
        else held
        for held in bundle.streams
    ]
    shorter = BundleSource(msgspec.structs.replace(bundle, streams=streams), "shorter")
    assert await follow(database, shorter) == 3 and Index(database).count() < whole
    changed = [
        msgspec.structs.replace(
            held,
            messages=[msgspec.structs.replace(m, data=m.data + b" ") for m in held.messages],
        )
        for held in bundle.streams
    ]
    other = BundleSource(msgspec.structs.replace(bundle, streams=changed), "other")
    assert await follow(database, other) > 10 and Index(database).count() == whole
    database.close()


async def test_a_commit_that_can_t_be_read_is_shown_as_such(shop: BundleSource) -> None:
    bundle = shop._bundle
    streams = []
    for held in bundle.streams:
        messages = list(held.messages)
        if held.name.endswith("goods"):
            messages[1] = msgspec.structs.replace(messages[1], data=b"\xff garbage")
        streams.append(msgspec.structs.replace(held, messages=messages))
    broken = BundleSource(msgspec.structs.replace(bundle, streams=streams), "broken")
    database = open_database(None)
    await follow(database, broken)
    rows = list(database.query("SELECT count(*) AS n FROM commits WHERE outcome = 5"))
    assert rows[0]["n"] == 1
    assert Index(database).commit("order/a", 1) is not None, "the rest stays usable"
    database.close()


def test_a_file_that_is_no_index_is_refused_and_an_old_one_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(InvalidSettings, match="is no index of Moonlet"):
        open_database(file)
    file.unlink()
    open_database(file).close()
    old = sqlite3.connect(file)
    old.execute(f"PRAGMA user_version={INDEX_VERSION + 1}")
    old.commit()
    old.close()
    with pytest.raises(InvalidSettings, match="leave --stale out once"):
        open_database(file, read_only=True)
    database = open_database(file)
    assert Index(database).count() == 0
    database.close()
    data = file.read_bytes()
    (tmp_path / "x.sqlite-wal").unlink(missing_ok=True)
    file.write_bytes(data[: len(data) // 2 - 100])
    with pytest.raises((Corrupt, InvalidSettings), match=r"damaged|can't be opened"):
        open_database(file)
    file.write_bytes(b"no database at all, and long enough to be looked at" * 100)
    with pytest.raises(Corrupt, match=r"is damaged .*: delete it, it is made anew"):
        open_database(file)
    with pytest.raises(InvalidSettings):
        open_database(tmp_path / "absent.sqlite", read_only=True)
    with pytest.raises(InvalidSettings):
        open_database(file / "below" / "x.sqlite")


async def test_a_file_that_another_process_writes_is_told(
    shop: BundleSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.replay.index.database.LOCK_WAIT", 0.05)
    file = tmp_path / "x.sqlite"
    open_database(file).close()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database = open_database(file)
    with pytest.raises((Unavailable, sqlite3.OperationalError)) as told:
        await follow(database, shop)
    assert "locked" in str(told.value)
    other.execute("ROLLBACK")
    assert await follow(database, shop) > 10
    database.close()
    other.close()


async def test_two_who_follow_at_once_write_nothing_twice(
    shop: BundleSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second finds the frontier moved: it says so, and the next run goes on from there."""
    monkeypatch.setattr("moonlet.replay.index.writing.WRITTEN_AT_ONCE", 1)
    file = tmp_path / "x.sqlite"
    first, second = open_database(file), open_database(file)

    class Slow(BundleSource):
        async def messages(self, stream: str, subject: str = ">", *, start: int = 1) -> Any:
            async for batch in super().messages(stream, subject, start=start):
                await follow(second, shop)
                yield batch

    with pytest.raises(Unavailable, match=r"can't be written .*meanwhile"):
        await follow(first, Slow(shop._bundle, "slow"))
    assert await follow(first, shop) == 0
    whole = open_database(None)
    await follow(whole, shop)
    rows = "SELECT place, revision, command FROM commits ORDER BY place"
    assert list(first.query(rows)) == list(whole.query(rows))
    for each in (first, second, whole):
        each.close()


@pytest.mark.parametrize("large", [1, 2, 3, 100])
async def test_rows_are_the_same_however_many_are_written_at_once(
    shop: BundleSource, monkeypatch: pytest.MonkeyPatch, large: int, made: Index
) -> None:
    database = open_database(None)
    database.conn.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 13 * large)
    monkeypatch.setattr("moonlet.replay.index.writing.WRITTEN_AT_ONCE", 2 * large)
    await follow(database, shop)
    for table in ("commits", "names", "buckets", "journals"):
        rows = f"SELECT * FROM {table}"
        assert list(database.query(rows)) == list(made.database.query(rows)), table
    database.close()


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"", {}),
        (b"null", {}),
        (b'{"revision":1}', {}),
        (b"[" * 100_000, {}),
        (RECORD % b"99999999999999999999", {}),
        (RECORD % b"-1", {}),
        (RECORD % b"4611686018427387904", {}),
        (RECORD % b"1", {"Moonlet-Digest": "z" * 32}),
        (RECORD % b"1", {"Moonlet-Digest": "0"}),
        (RECORD % b"1", {"Moonlet-Encoding": "morse"}),
        (RECORD % b"1", {"Moonlet-Encoding": "json+zstd"}),
        (RECORD.replace(b"Go", b"\\ud800") % b"1", {}),
    ],
)
async def test_a_hostile_record_is_indexed_as_unreadable_and_the_rest_as_it_is(
    shop: BundleSource, data: bytes, headers: dict[str, str]
) -> None:
    bundle = shop._bundle
    streams = []
    for held in bundle.streams:
        messages = list(held.messages)
        if held.name.endswith("goods"):
            messages[1] = msgspec.structs.replace(messages[1], data=data, headers=headers)
        streams.append(msgspec.structs.replace(held, messages=messages))
    database = open_database(None)
    hostile = BundleSource(msgspec.structs.replace(bundle, streams=streams), "hostile")
    await follow(database, hostile)
    found = [hit.outcome for hit in Index(database).search("stock")]
    assert "unreadable" in found and "accepted" in found
    database.close()


def test_the_commands(shop_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = ("--bundle", str(shop_file))
    found = invoke("search", "SoldOut", *bundle, "--json")
    assert "SoldOut" in [record["name"] for record in found.records]
    assert list(tmp_path.iterdir()) == [], "a bundle's index is in memory"
    nothing = invoke("search", "zebra", *bundle)
    assert nothing.code == 0 and "no commit has 'zebra'" in nothing.err
    assert invoke("search", "...", *bundle).code == 2
    stale = invoke("search", "tea", "--stale", *bundle)
    assert stale.code == 2 and "there is no index yet" in stale.err
    file = ("--index", str(tmp_path / "i.sqlite"))
    (first,) = invoke("index", *bundle, *file, "--json").records
    (second,) = invoke("index", *bundle, *file, "--json").records
    assert first["new"] > 10 and second["new"] == 0 and first["commits"] == second["commits"]
    assert invoke("search", "tea", "--stale", *bundle, *file).code == 0
