"""Views against pycrdt and loro, and against themselves: folds, sizes, merges, files.

The workloads are those of the goals: writes one by one, a history of additions and removals of few
keys, two replicas that were apart. Bytes are exact; of times the medians of interleaved rounds.
"""

import asyncio
import gc
import random
import sqlite3
import tempfile
import time
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from msgspec.structs import replace

from moonlet.core.frontier import Frontier
from moonlet.projections import JournalId, ViewDatabase, ViewState, apply_delta, make_delta
from moonlet.projections.audit import Audit
from moonlet.projections.heartbeat import make_heartbeat
from moonlet.projections.transfer import Giver, take
from moonlet.streams import decode_commit, encode_commit, read_messages
from tests.benchmarks.projections_ours import JOURNALS, Replica, commits, map_view, set_view
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import Stopwatch, world

WRITES = 100_000
KEYS = 10_000
Writes = list[tuple[str, str]]
Churn = list[tuple[str, str | None]]

FOLD_PYCRDT = Row(
    "view: 100k map writes one by one", "writes/s", "pycrdt, a transaction each", bar_ratio=3.5
)
FOLD_LORO = Row(
    "view: 100k map writes, against loro", "writes/s", "loro, a commit each", bar_ratio=2.0
)
FOLD_SET = Row(
    "view: 100k set changes on 10k elements", "changes/s", "loro, a commit per 100", bar_ratio=1.0
)
FOLD_WHOLE = Row(
    "view: whole fold, JSON and handler included", "commits/s", "pycrdt, which gets plain values"
)
CHURN = Row(
    "view: state after 1M changes of 100 elements",
    "bytes",
    "pycrdt after 100k",
    less_is_better=True,
    bar_value=1_024,
)
CHURN_GROWTH = Row(
    "view: the same, against after 10k changes",
    "bytes",
    "our own state after 10k",
    less_is_better=True,
    bar_ratio=1.1,
)
ONE_KEY = Row(
    "view: delta of one key beyond key and value",
    "bytes",
    "pycrdt after 100k changes",
    less_is_better=True,
    bar_value=64,
)
ONE_KEY_LATE = Row(
    "view: the same, each of 4 journals at 4 thousand million",
    "bytes",
    "the same after 1M changes in all",
    less_is_better=True,
    bar_value=64,
)
MERGE_PYCRDT = Row(
    "view: merge of two diverged 10k-key maps",
    "ms",
    "pycrdt",
    less_is_better=True,
    bar_ratio=0.8,
)
MERGE_LORO = Row(
    "view: the same merge, against loro", "ms", "loro", less_is_better=True, bar_ratio=0.5
)
CATCH_UP_BYTES = Row(
    "view: catch-up over 30k events, bytes", "bytes", "the stored commits", True, bar_ratio=1 / 25
)
CATCH_UP_TIME = Row(
    "view: catch-up over 30k events, time",
    "ms",
    "reading the journal from the same server and folding it",
    True,
    bar_ratio=1 / 50,
)
MEMORY_SET = Row(
    "view: memory per element beyond its key", "bytes", "a dict of the keys", True, bar_value=120
)
MEMORY_MAP = Row(
    "view: memory per entry beyond key and value", "bytes", "a dict of both", True, bar_value=120
)
DURABLE = Row(
    "view: durable writes in batches of 1,000",
    "writes/s",
    "sqlite3's executemany of the same rows",
    bar_value=150_000,
)
DURABLE_WHOLE = Row(
    "view: durable commits, JSON and handler included",
    "commits/s",
    "sqlite3's executemany of the same rows",
    bar_value=150_000,
)
LOAD = Row("view: cold load of 10k keys", "ms", "pycrdt after 100k writes", True, bar_value=12)
AUDIT = Row(
    "view: audit of 100k keys, 10 of them different",
    "bytes",
    "a hash of every key",
    less_is_better=True,
    bar_value=16_384,
)
AUDIT_MESSAGES = Row(
    "view: messages of that audit",
    "messages",
    "those of an audit of equals",
    less_is_better=True,
    bar_value=6,
)
HEARTBEAT = Row(
    "view: heartbeat of 8 journals", "bytes", "the frontier alone as JSON", True, bar_value=128
)


def map_writes(count: int, seed: int = 1, keys: int = KEYS) -> Writes:
    chance = random.Random(seed)
    return [(f"key-{chance.randrange(keys):05d}", f"value-{n:010d}") for n in range(count)]


def set_changes(count: int, elements: int, seed: int = 1) -> Churn:
    """Additions and removals, of what is there only; an addition may come twice."""
    chance = random.Random(seed)
    there: set[str] = set()
    changes: Churn = []
    for _ in range(count):
        key = f"element-{chance.randrange(elements):05d}"
        if key in there and chance.random() < 0.5:
            there.discard(key)
            changes.append((key, None))
        else:
            there.add(key)
            changes.append((key, ""))
    return changes


def timed(work: Callable[[], object]) -> float:
    """Seconds, of work that waits for a disk or a server."""
    watch = Stopwatch()
    work()
    return watch.stop()


def computed(work: Callable[[], object]) -> float:
    """Seconds of processor time, of work that waits for nothing: the machine's load counts less."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


async def folds(scale: Scale) -> AsyncGenerator[Round, None]:
    from tests.benchmarks import projections_loro, projections_pycrdt

    writes = map_writes(scale.of(WRITES))
    changes = set_changes(len(writes), KEYS)
    stored = commits(writes)
    count = len(writes)

    def whole() -> None:
        state = ViewState(map_view, JOURNALS)
        for commit in stored:
            state.fold(commit, "asia")

    while True:
        ours = count / computed(lambda: Replica(map_view).write_settled(writes))
        pycrdt = count / computed(lambda: projections_pycrdt.Replica().write(writes))
        loro = count / computed(lambda: projections_loro.Replica().write(writes))
        ours_set = count / computed(lambda: Replica(set_view).write_seen(changes))
        loro_set = count / computed(lambda: projections_loro.Replica().write(changes, batch=100))
        yield {
            FOLD_PYCRDT.name: Pair(ours, pycrdt),
            FOLD_LORO.name: Pair(ours, loro),
            FOLD_SET.name: Pair(ours_set, loro_set),
            FOLD_WHOLE.name: Pair(count / computed(whole), pycrdt),
        }


def one_key(replica: Replica) -> int:
    """Bytes of a delta of one commit of one write, beyond key and value."""
    state = replica.state
    since = state.frontier
    (commit,) = commits([("position-0001", "x" * 16)], since.at("us") + 1)
    state.fold(commit, "us")
    return len(make_delta(state, since)) - 13 - 16


async def sizes(scale: Scale) -> AsyncGenerator[Round, None]:
    from tests.benchmarks import projections_pycrdt

    changes = set_changes(scale.of(10 * WRITES), 100)
    elements = sorted({key for key, _ in changes})
    theirs = projections_pycrdt.Replica()
    theirs.write(changes[: len(changes) // 10])
    their_state, vector = len(theirs.state()), theirs.vector()
    theirs.write([("position-0001", "x" * 16)])
    their_delta = len(theirs.since(vector)) - 13 - 16

    journals = [JournalId(name, "x") for name in ("asia", "eu", "us", "za")]
    four = Replica(map_view, 2, journals=journals)
    four.write_everywhere([(key, value or "") for key, value in changes])
    late = Replica(map_view, 2, journals=journals)
    for name in late.state.journals.names:
        late.state.advance(name, 4_000_000_000)

    eight = ViewState(map_view, [JournalId(f"journal-{n}", "x") for n in range(8)])
    for name in eight.journals.names:
        eight.advance(name, 4_000_000_000)
    durable = Frontier.of({name: n - 1_000 for name, n in eight.frontier.sequences.items()})
    heartbeat = make_heartbeat(eight, "r" * 22, durable=durable, digest=eight.digest)

    while True:
        replica = Replica(set_view)
        grown = []
        for part in (changes[: len(changes) // 100], changes[len(changes) // 100 :]):
            replica.write_seen(part)
            # Of equal sets, or chance would decide: between 60 and 75 of the 100 are there.
            replica.write_seen([(key, "") for key in elements if key not in replica.store_rows])
            grown.append(len(replica.state_bytes()))
        yield {
            CHURN.name: Pair(grown[1], their_state),
            CHURN_GROWTH.name: Pair(grown[1], grown[0]),
            ONE_KEY.name: Pair(one_key(four), their_delta),
            ONE_KEY_LATE.name: Pair(one_key(late), one_key(four)),
            HEARTBEAT.name: Pair(len(heartbeat), len(repr(eight.frontier.sequences))),
        }


def audit(one: Replica, two: Replica) -> tuple[list[bytes], int]:
    """All messages of an audit, either way, and how many differences both sides found."""
    sides = Audit(one.state), Audit(two.state)
    messages = [sides[0].begin()]
    while answer := sides[len(messages) % 2].answer(messages[-1]):
        messages.append(answer)
    assert sides[0].found == sides[1].found
    return messages, len(sides[0].found)


async def audits(scale: Scale) -> AsyncGenerator[Round, None]:
    count = scale.of(WRITES)
    replicas = Replica(set_view), Replica(set_view)
    for replica in replicas:
        replica.write([(f"element-{n:08d}", "") for n in range(count)])
    equal, _ = audit(*replicas)
    for n in random.Random(1).sample(range(count), 10):
        del replicas[n % 2].store_rows[f"element-{n:08d}"]
    while True:
        messages, found = audit(*replicas)
        assert found == 10
        yield {
            AUDIT.name: Pair(sum(map(len, messages)), 8 * count),
            AUDIT_MESSAGES.name: Pair(len(messages), len(equal)),
        }


async def merges(scale: Scale) -> AsyncGenerator[Round, None]:
    from tests.benchmarks import projections_loro, projections_pycrdt

    keys = scale.of(KEYS)
    base: Churn = [(f"key-{n:05d}", f"base-{n:010d}") for n in range(keys)]
    apart: list[Churn] = []
    for seed in (1, 2):
        chance = random.Random(seed)
        chosen = [f"key-{n:05d}" for n in chance.sample(range(keys), keys // 2 + keys // 20)]
        deleted = set(chosen[keys // 2 :])
        apart.append([(key, None if key in deleted else f"new-{seed}-{key}") for key in chosen])

    def ours() -> float:
        one, two = Replica(map_view, 1), Replica(map_view, 2)
        one.write_seen(base)
        two.join(one.since(two))
        one.write_seen(apart[0])
        two.write_seen(apart[1])
        delta = two.since(one)
        return 1_000 * computed(lambda: one.join(delta))

    def pycrdt() -> float:
        one, two = projections_pycrdt.Replica(), projections_pycrdt.Replica()
        one.write(base)
        two.join(one.since(two.vector()))
        one.write(apart[0])
        two.write(apart[1])
        update = two.since(one.vector())
        return 1_000 * computed(lambda: one.join(update))

    def loro() -> float:
        one, two = projections_loro.Replica(), projections_loro.Replica()
        one.write(base)
        two.join(one.since(two.vector()))
        one.write(apart[0])
        two.write(apart[1])
        update = two.since(one.vector())
        return 1_000 * computed(lambda: one.join(update))

    while True:
        taken = ours()
        yield {MERGE_PYCRDT.name: Pair(taken, pycrdt()), MERGE_LORO.name: Pair(taken, loro())}


async def catching_up(scale: Scale) -> AsyncGenerator[Round, None]:
    """30k events on 3k keys: a peer's delta, or the journal itself; both through a real server."""
    peer = ViewState(map_view, JOURNALS)
    stored = commits(map_writes(scale.of(30_000), keys=3_000))
    for commit in stored:
        peer.fold(commit, "asia")
    async with world(fsync=False) as w:
        prefix = w.prefix()
        stream = f"{prefix}-journal-main"
        await w.create_streams(prefix, "journal-main")
        size = 0
        for commit in stored:
            (payload, headers), _ = encode_commit(replace(commit, sequence=0), "json")
            size += len(payload)
            await w.nc.publish(f"{prefix}.evt.oracle.main", payload, headers=dict(headers))
        await w.nc.flush()
        while await w.messages(stream) < len(stored):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        async with w.moon(prefix) as moon:
            subject = f"{prefix}.view.prices.peer"
            await moon.bus.js.subscribe(subject, Giver(moon.bus, peer).answer)
            while True:
                watch = Stopwatch()
                by_peer = ViewState(map_view, JOURNALS)
                delta = (await take(moon.bus, subject, by_peer)).delta
                apply_delta(by_peer, delta)
                joined = watch.stop()
                watch = Stopwatch()
                by_journal = ViewState(map_view, JOURNALS)
                async for batch in read_messages(moon.bus, stream, f"{prefix}.evt.>"):
                    for message in batch:
                        commit, encoding = decode_commit(stream, message)
                        by_journal.fold(commit, "asia", encoding=encoding)
                replayed = watch.stop()
                assert by_journal.canonical() == by_peer.canonical()
                yield {
                    CATCH_UP_BYTES.name: Pair(len(delta), size),
                    CATCH_UP_TIME.name: Pair(1_000 * joined, 1_000 * replayed),
                }


async def memory(scale: Scale) -> AsyncGenerator[Round, None]:
    count = scale.of(WRITES)
    keys = [f"key-{n:08d}" for n in range(count)]
    values = [f"value-{n:010d}" for n in range(count)]

    def grown(work: Callable[[], object]) -> float:
        tracemalloc.start()
        held = work()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held is not None
        return size / count

    def filled(replica: Replica, pairs: Writes) -> Replica:
        replica.write_settled(pairs)
        return replica

    elements: Writes = [(key, "") for key in keys]
    entries: Writes = list(zip(keys, values, strict=True))
    while True:
        yield {
            MEMORY_SET.name: Pair(
                grown(lambda: filled(Replica(set_view), elements)),
                grown(lambda: dict.fromkeys(keys)),
            ),
            MEMORY_MAP.name: Pair(
                grown(lambda: filled(Replica(map_view), entries)),
                grown(lambda: dict(zip(keys, values, strict=True))),
            ),
        }


async def files(scale: Scale) -> AsyncGenerator[Round, None]:
    from tests.benchmarks import projections_pycrdt

    writes = map_writes(scale.of(WRITES))
    batches = [writes[start : start + 1_000] for start in range(0, len(writes), 1_000)]
    stored = commits(writes)
    theirs = projections_pycrdt.Replica()
    theirs.write(writes)
    their_state = theirs.state()

    def bare(folder: str) -> None:
        """The least that writes the same rows, and a frontier, as often."""
        connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE map (key TEXT PRIMARY KEY, value, state) WITHOUT ROWID")
        connection.execute("CREATE TABLE frontier (sequence)")
        connection.execute("INSERT INTO frontier VALUES (0)")
        number = 0
        for batch in batches:
            rows = [(key, value, number + n) for n, (key, value) in enumerate(batch)]
            number += len(batch)
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO map VALUES (?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET value = excluded.value, state = excluded.state",
                rows,
            )
            connection.execute("UPDATE frontier SET sequence = ?", (number,))
            connection.execute("COMMIT")
        connection.close()

    def durable(folder: str) -> None:
        replica = Replica(map_view)
        database = ViewDatabase(Path(folder) / "view.db", replica.state)
        for batch in batches:
            replica.write(batch)
            database.save()
        database.close()

    def whole(folder: str) -> None:
        state = ViewState(map_view, JOURNALS)
        database = ViewDatabase(Path(folder) / "whole.db", state)
        for number, commit in enumerate(stored, 1):
            state.fold(commit, "asia")
            if number % 1_000 == 0:
                database.save()
        database.close()

    def load(folder: str) -> None:
        ViewDatabase(Path(folder) / "view.db", ViewState(map_view, JOURNALS)).close()

    while True:
        with tempfile.TemporaryDirectory(prefix="moonlet-bench-") as folder:
            least = len(writes) / timed(lambda: bare(folder))
            ours = len(writes) / timed(lambda: durable(folder))
            all_of_it = len(writes) / timed(lambda: whole(folder))
            loaded = computed(lambda: load(folder))
            their_load = computed(lambda: projections_pycrdt.Replica().join(their_state))
        yield {
            DURABLE.name: Pair(ours, least),
            DURABLE_WHOLE.name: Pair(all_of_it, least),
            LOAD.name: Pair(1_000 * loaded, 1_000 * their_load),
        }


WORKS = (
    Work((FOLD_PYCRDT, FOLD_LORO, FOLD_SET, FOLD_WHOLE), folds, rounds=7),
    Work((CHURN, CHURN_GROWTH, ONE_KEY, ONE_KEY_LATE, HEARTBEAT), sizes, rounds=1),
    Work((AUDIT, AUDIT_MESSAGES), audits, rounds=1),
    Work((MERGE_PYCRDT, MERGE_LORO), merges, rounds=9),
    Work((CATCH_UP_BYTES, CATCH_UP_TIME), catching_up),
    Work((MEMORY_SET, MEMORY_MAP), memory, rounds=1),
    Work((DURABLE, DURABLE_WHOLE, LOAD), files, rounds=7),
)
