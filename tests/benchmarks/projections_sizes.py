"""How large views are: encoded, as deltas, heartbeats and audits, in memory. Bytes are exact."""

import random
import tracemalloc
from collections.abc import AsyncGenerator, Callable

from moonlet.core.frontier import Frontier
from moonlet.projections import JournalId, ViewState, make_delta
from moonlet.projections.exchange import make_heartbeat
from moonlet.projections.exchange.comparison import StateComparison
from tests.benchmarks.projections_ours import Replica, commits, map_view, set_view
from tests.benchmarks.projections_work import WRITES, Writes, set_changes
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work

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
MEMORY_SET = Row(
    "view: memory per element beyond its key", "bytes", "a dict of the keys", True, bar_value=120
)
MEMORY_MAP = Row(
    "view: memory per entry beyond key and value", "bytes", "a dict of both", True, bar_value=120
)
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
    sides = StateComparison(one.state), StateComparison(two.state)
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


WORKS = (
    Work((CHURN, CHURN_GROWTH, ONE_KEY, ONE_KEY_LATE, HEARTBEAT), sizes, rounds=1),
    Work((AUDIT, AUDIT_MESSAGES), audits, rounds=1),
    Work((MEMORY_SET, MEMORY_MAP), memory, rounds=1),
)
