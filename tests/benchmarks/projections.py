"""Views against pycrdt and loro, and against the journal: folds, merges, catching up.

The workloads are those of the goals: writes one by one, two replicas that were apart, one that
is far behind. Of times the medians of interleaved rounds.
"""

import asyncio
import random
from collections.abc import AsyncGenerator

from moonlet.projections import ViewState, apply_delta
from moonlet.projections.exchange import Giver, take
from moonlet.streams import decode_commit, read_messages
from tests.benchmarks.projections_ours import JOURNALS, Replica, commits, map_view, set_view
from tests.benchmarks.projections_work import (
    KEYS,
    WRITES,
    Churn,
    as_message,
    computed,
    map_writes,
    set_changes,
)
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import Stopwatch, world

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
        for message in map(as_message, stored):
            size += len(message.data)
            await w.nc.publish(
                f"{prefix}.evt.oracle.main", message.data, headers=dict(message.headers or {})
            )
        await w.nc.flush()
        while await w.messages(stream) < len(stored):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        async with w.moon(prefix) as moon:
            subject = f"{prefix}.view.prices.peer"
            await moon.bus.subscribe(subject, Giver(moon.bus, peer).answer)
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


WORKS = (
    Work((FOLD_PYCRDT, FOLD_LORO, FOLD_SET, FOLD_WHOLE), folds, rounds=7),
    Work((MERGE_PYCRDT, MERGE_LORO), merges, rounds=21),
    Work((CATCH_UP_BYTES, CATCH_UP_TIME), catching_up),
)
