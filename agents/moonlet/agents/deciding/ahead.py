"""Deciding what waits, one command on the state after the other: a batch in, a chain out.

Pure as `decide` is. Whoever calls appends the chain, acknowledges what was settled, and reads the
journal again where that is the verdict.
"""

from collections.abc import Callable
from typing import Any, Final

from moonlet.agents.deciding.commit_chain import CommitChain, PendingCommit
from moonlet.agents.deciding.decide import Verdict, decide
from moonlet.agents.deciding.queued_command import QueuedCommand
from moonlet.agents.deciding.rules import Rules
from moonlet.agents.deciding.waiting import WaitingCommands
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId

CHAIN_MAX: Final = 256
"""Commands decided ahead of what is in flight: they are appended as one, all land, or none. A batch
takes milliseconds, however few they are, and deciding this many keeps others waiting for no more.
"""

CHAIN_BYTES: Final = 1_048_576
"""Bytes of records decided ahead from which no more are."""

Settled = list[tuple[QueuedCommand, Verdict]]


def decide_ahead(
    rules: Rules,
    agent: AgentId,
    fold: Fold[Any],
    chain: CommitChain,
    waiting: WaitingCommands,
    first: QueuedCommand | None,
    *,
    most: int,
    effects_room: int,
    times: Callable[[], tuple[int, Timestamp]],
    dispatched: int,
    settled: Settled,
) -> Verdict | None:
    """Decide `first`, or what waits, onto `chain`: up to `most` ahead of what is in flight.

    `effects_room` is how many commits with effects the chain may hold; `times` gives the wall
    clock in µs and the time of a commit. What earlier commits had dealt with is added to `settled`,
    in order. Returns READ_AGAIN or WAIT if that ended it. What is not decided waits as before.
    """
    while True:
        queued, first = first or waiting.take(), None
        if queued is None:
            return None
        if chain.ahead >= most or chain.bytes >= CHAIN_BYTES or chain.with_effects >= effects_room:
            waiting.put_back(queued)
            return None
        now_us, time = times()
        try:
            verdict = decide(
                rules, agent, fold, chain, queued,
                now_us=now_us, time=time, dispatched=dispatched,
            )  # fmt: skip
        except BaseException:  # ours: a handler's own are caught and park its command
            waiting.put_back(queued)
            raise
        if isinstance(verdict, PendingCommit):
            chain.add(verdict)
        elif verdict is Verdict.WAIT:
            waiting.put_back(queued)
            return verdict
        elif verdict is Verdict.READ_AGAIN:
            queued.sought = True
            waiting.put_back(queued)
            return verdict
        else:
            settled.append((queued, verdict))
