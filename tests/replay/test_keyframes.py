"""States kept in the index: used only where they fit, and never trusted to be right."""

import sqlite3
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlite_utils import Database

from moonlet.agents import AgentType
from moonlet.core.commit import Skip
from moonlet.core.ids import AgentId
from moonlet.replay import (
    BundleSource,
    Condition,
    StateAt,
    Timeline,
    bisect,
    blame,
    fold_at,
    state_at,
)
from moonlet.replay.changes import blaming, searching
from moonlet.replay.index import (
    IndexKeyframes,
    follow,
    keep_states,
    keeping,
    keyframes,
    open_database,
)
from moonlet.replay.states import timeline as timelines
from moonlet.streams import StoredMessage
from tests.agents.accounts import Account, Deposited, account_type
from tests.replay.histories import history

AGENT = AgentId("account", "s0")
COUNT = 60


class Counting(BundleSource):
    """A bundle that counts the messages that are read of it."""

    read = 0

    async def messages(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[list[StoredMessage], None]:
        async for batch in super().messages(stream, subject, start=start):
            for message in batch:
                self.read += 1
                yield [message]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (timelines, keeping, blaming):
        monkeypatch.setattr(module, "SEGMENT", 5)


@pytest.fixture
def source() -> Counting:
    return Counting(history(2, COUNT)._bundle, "made")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.sqlite"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    made = open_database(file)
    yield made
    made.close()


def rows(database: Database) -> list[dict[str, Any]]:
    return list(database.query("SELECT * FROM keyframes ORDER BY revision"))


async def looked(source: Counting, revision: int, kept: IndexKeyframes) -> int:
    """How many messages it took to have the right state."""
    source.read = 0
    found = await state_at(source, account_type(), AGENT, revision, kept)
    assert (found.revision, found.state.balance) == (revision, revision)
    return source.read


async def test_what_one_has_folded_the_next_does_not_fold_again(
    source: Counting, database: Database, file: Path
) -> None:
    kept = IndexKeyframes(database)
    assert await looked(source, 50, kept) >= 50
    assert [row["revision"] for row in rows(database)] == list(range(5, 51, 5))
    other = open_database(file)
    for revision in (50, 49, 46, 45, 7, 3, 0, 55, 58):
        assert await looked(source, revision, IndexKeyframes(other)) <= 6, revision
    assert await looked(source, COUNT, kept) <= 6, "where the history ends nothing is waited for"
    other.close()


async def test_an_index_that_was_made_has_them_of_every_long_history(
    source: Counting, database: Database
) -> None:
    await follow(database, source)
    assert await keep_states(database, source, {}) == {} and rows(database) == []
    assert await keep_states(database, source, {"account": account_type()}) == {}
    assert len(rows(database)) == 2 * COUNT // 5
    for revision in range(COUNT + 1):
        assert await looked(source, revision, IndexKeyframes(database)) <= 6
    source.read = 0
    await keep_states(database, source, {"account": account_type()})
    assert source.read <= 2, "there is nothing new"


async def test_another_code_does_not_use_them_and_takes_their_place(
    source: Counting, database: Database
) -> None:
    kept = IndexKeyframes(database)
    await looked(source, COUNT, kept)
    double = account_type(fold_version=2)
    source.read = 0
    found = await state_at(source, double, AGENT, 58, kept)
    assert found.state.balance == 58 and source.read >= 58
    assert len({row["code"] for row in rows(database)}) == 1
    assert await looked(source, 58, kept) >= 58, "they were the other code's"


async def test_another_history_of_the_same_agent_is_known_by_its_digests(
    source: Counting, database: Database
) -> None:
    kept = IndexKeyframes(database)
    await looked(source, COUNT, kept)
    before = {row["digest"] for row in rows(database)}
    other = Counting(history(2, COUNT, said="another")._bundle, "other")
    assert await looked(other, 58, kept) >= 58
    after = rows(database)
    assert after and not before & {row["digest"] for row in after}
    assert await looked(other, 57, kept) <= 6


async def test_a_journal_that_went_back_and_grew_again_is_known(
    source: Counting, database: Database
) -> None:
    """Up to revision 30 both are the same; what was kept behind that is the old one's."""
    kept = IndexKeyframes(database)
    await looked(source, COUNT, kept)
    other = Counting(history(2, COUNT, said="another", behind=30)._bundle, "other")
    assert await looked(other, 30, kept) <= 6
    assert await looked(other, 58, kept) >= 58
    timeline = await Timeline.open(other, account_type(), AGENT, kept)
    found = await bisect(timeline, Condition("state.balance > 41"))
    assert found.first == 42


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", b"\x81\xa7balance\xcd\x03\xe7"),
        ("state", b""),
        ("state", b"\xff" * 100),
        ("state", "text"),
        ("digest", "0" * 32),
        ("digest", None),
        ("revision", 44),
        ("sequence", 3),
        ("micros", -1),
        ("counter", "x"),
        ("packed", 1),
        ("mark", b"x" * 16),
        ("mark", None),
    ],
)
async def test_a_row_that_was_damaged_is_passed_over(
    source: Counting, database: Database, column: str, value: Any
) -> None:
    kept = IndexKeyframes(database)
    await looked(source, COUNT, kept)
    database.execute("PRAGMA ignore_check_constraints=1")
    with database.conn:
        try:
            sql = f"UPDATE keyframes SET {column} = ? WHERE revision = 45"
            database.execute(sql, [value])
        except sqlite3.IntegrityError:
            return  # SQLite itself refuses it
    assert await looked(source, 47, IndexKeyframes(database)) <= 11
    assert await looked(source, 47, IndexKeyframes(database)) <= 6, "it was written anew"


@pytest.mark.parametrize("looks", [keyframes.DAMAGED_MAX, 3])
async def test_of_a_file_full_of_damaged_rows_nothing_is_believed(
    source: Counting, database: Database, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Whether all of them were looked at, or it was given up after a few."""
    monkeypatch.setattr(keyframes, "DAMAGED_MAX", looks)
    kept = IndexKeyframes(database)
    await looked(source, COUNT, kept)
    with database.conn:
        database.execute("UPDATE keyframes SET state = zeroblob(20)")
    assert await looked(source, 58, IndexKeyframes(database)) >= 58


class Grown(msgspec.Struct, frozen=True):
    text: str = ""
    parts: tuple[int, ...] = ()


async def test_large_states_are_kept_as_often_as_their_share_of_the_file_allows(
    source: Counting, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyframes, "COMPRESSED_ABOVE", 10**9)
    large = AgentType("account", Grown)

    @large.on_event
    def grown(state: Grown, event: Deposited) -> Grown:
        return Grown("x" * 900, (*state.parts, event.amount))

    found = await state_at(source, large, AGENT, 58, IndexKeyframes(database))
    assert len(found.state.parts) == 58
    held = rows(database)
    assert 1 <= len(held) <= 4
    assert sum(len(row["state"]) for row in held) <= keyframes.SHARE * COUNT
    monkeypatch.setattr(keyframes, "STATE_MAX", 100)
    database.execute("DELETE FROM keyframes")
    await state_at(source, large, AGENT, 58, IndexKeyframes(database))
    assert rows(database) == []


class Loose(msgspec.Struct, frozen=True):
    held: Any = 0


async def test_a_state_that_would_not_come_back_is_not_kept(
    source: Counting, database: Database
) -> None:
    loose = AgentType("account", Loose)

    @loose.on_event
    def taken(state: Loose, event: Deposited) -> Loose:
        return Loose((event.amount, frozenset((1,))))

    found = await state_at(source, loose, AGENT, 58, IndexKeyframes(database))
    assert found.state.held == (1, frozenset((1,))) and rows(database) == []


async def test_where_nothing_can_be_written_states_are_only_slower(
    source: Counting, database: Database, file: Path
) -> None:
    reader = IndexKeyframes(open_database(file, read_only=True), read_only=True)
    assert await looked(source, 58, reader) >= 58 and rows(database) == []
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database.execute("PRAGMA busy_timeout=20")
    assert await looked(source, 58, IndexKeyframes(database)) >= 58
    other.execute("ROLLBACK")
    other.execute("DROP TABLE keyframes")
    assert await looked(source, 58, IndexKeyframes(database)) >= 58
    other.close()


async def test_what_was_kept_before_a_repair_is_not_used_behind_it(
    source: Counting, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, agent = IndexKeyframes(database), AgentId("account", "s1")
    before = await state_at(source, account_type(), agent, 58, kept)
    assert before.state.balance == 58
    left_out = {20: Skip(20, "events", why="a test")}

    async def skips(self: Any, agent: AgentId) -> Any:
        return left_out

    monkeypatch.setattr(Counting, "skips", skips)
    found = await state_at(source, account_type(), agent, 58, kept)
    assert found.state.balance == 57
    again = await state_at(source, account_type(), agent, 58, kept)
    assert again == found


async def test_blame_reads_no_further_back_than_it_must(
    source: Counting, database: Database
) -> None:
    kept = IndexKeyframes(database)
    await looked(source, COUNT, kept)
    timeline = await Timeline.open(source, account_type(), AGENT, kept)
    source.read = 0
    (told,) = await blame(timeline, "balance")
    assert told.commit is not None and told.commit.revision == COUNT and source.read <= 12
    by_hand: dict[str, StateAt] = {}
    for revision in (0, 1, 33):
        fold = await fold_at(source, account_type(), AGENT, revision)
        by_hand[str(revision)] = await timeline.at(revision)
        assert by_hand[str(revision)].state == fold.state == Account(revision)


async def test_bisect_looks_at_kept_states_of_a_long_history_each_once(
    source: Counting, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "CHECKED_MAX", 30)
    kept = IndexKeyframes(database)
    await looked(source, COUNT, kept)
    timeline = await Timeline.open(source, account_type(), AGENT, kept)
    source.read = 0
    found = await bisect(timeline, Condition("state.balance > 41"))
    assert (found.first, found.again) == (42, None) and found.looks <= COUNT // 5 + 10
    assert source.read <= COUNT
    found = await bisect(timeline, Condition("state.balance > 41 and state.balance != 55"))
    assert (found.first, found.again) == (42, 55)
