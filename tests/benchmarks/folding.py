"""The fold of commits that are decoded already: no server, no bytes."""

from collections.abc import AsyncGenerator

import msgspec

from moonlet.core.commit import Decoded
from tests.benchmarks.account import Account, Deposit, Deposited, account_type
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import Stopwatch

COMMITS = 300_000

ROW = Row("fold of decoded commits", "events/s", "the handler called in a bare loop", bar_value=2e6)


def bare(commits: list[Decoded]) -> Account:
    """The handler of `account_type`, called for every event."""
    state = Account()
    for commit in commits:
        for event in commit.events:
            state = msgspec.structs.replace(state, balance=state.balance + event.amount)
    return state


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    behavior = account_type().behavior
    commits = [Decoded(Deposit(5), (Deposited(5),)) for _ in range(scale.of(COMMITS))]
    while True:
        watch = Stopwatch()
        expected = bare(commits)
        baseline = watch.stop()
        watch = Stopwatch()
        state = behavior.fold(Account(), commits)
        taken = watch.stop()
        assert state == expected
        yield {ROW.name: Pair(len(commits) / taken, len(commits) / baseline)}


WORKS = (Work((ROW,), rounds, rounds=9),)
