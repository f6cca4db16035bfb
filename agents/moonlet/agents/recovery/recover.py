"""Recovery: an agent's fold from its last snapshot and the commits after it.

The end is read from the leader first, so absence is never concluded from a replica that lags. The
snapshot's own last commit is read again and its digest compared. Commits whose effects may not be
out are handed back, in order.
"""

from typing import Any, NamedTuple, TypeVar

import msgspec

from moonlet.agents.deciding import fold_state
from moonlet.agents.definition import AgentType
from moonlet.agents.services import HostServices
from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.marks import buggify, reached
from moonlet.streams import Snapshot, StoredMessage, decode_commit, restore_snapshot
from moonlet.telemetry import get_logger

log = get_logger(__name__)

S = TypeVar("S")


class Recovered(NamedTuple):
    """A fold, the commits to dispatch again, and what is known of the snapshot behind it.

    `tail_bytes` are those of the commits after the snapshot, `commits` how many these were, and
    `seconds` how long folding them took.
    """

    fold: Fold[Any]
    redo: list[tuple[Commit[Any], Encoding]]
    snapshot_revision: int = 0
    snapshot_bytes: int = 0
    tail_bytes: int = 0
    commits: int = 0
    seconds: float = 0.0


async def recover(services: HostServices, agent_type: AgentType[S], agent: AgentId) -> Recovered:
    """The agent as its journal says. Raises `Undecodable`, `Corrupt`, `Unavailable`."""
    stream = services.bus.topology.journal_of(agent.type)
    journal = services.journal(stream)
    last = await journal.last(agent)
    await services.ends.check(stream)
    if last is None:
        return Recovered(Fold(agent_type.behavior.initial()), [])
    snapshot = await _usable_snapshot(services, agent_type, agent, stream, last)
    if snapshot is not None:
        recovered = await _after(services, agent_type, agent, stream, snapshot, last)
        if recovered is not None:
            return recovered
        log.warning("a snapshot does not fit its journal", agent=str(agent))
    fold = Fold(agent_type.behavior.initial())
    return await _replay(services, agent_type, agent, stream, fold, 1, last)


async def _usable_snapshot(
    services: HostServices,
    agent_type: AgentType[Any],
    agent: AgentId,
    stream: str,
    last: StoredMessage,
) -> tuple[Snapshot, Any] | None:
    """The snapshot and its state, if it is of this journal, this code, and not of the future."""
    snapshot = await services.snapshots.load(agent)
    if snapshot is None or snapshot.sequence > last.sequence:
        return None
    if buggify("recovery goes without the snapshot"):
        return None
    if snapshot.code != agent_type.state_code():
        return None
    if snapshot.incarnation != await services.ends.incarnation(stream):
        return None
    try:
        return snapshot, agent_type.decode_state(snapshot.state)
    except (msgspec.MsgspecError, ValueError) as error:
        log.warning("a snapshot can't be read", agent=str(agent), error=str(error))
        return None


async def _after(
    services: HostServices,
    agent_type: AgentType[Any],
    agent: AgentId,
    stream: str,
    found: tuple[Snapshot, Any],
    last: StoredMessage,
) -> Recovered | None:
    """Replay the tail, beginning with the snapshot's own commit; None if that isn't the same."""
    snapshot, state = found
    if snapshot.sequence == last.sequence:
        own: StoredMessage | None = last
    else:
        own = await services.journal(stream).message(snapshot.sequence)
    if own is None or own.subject != last.subject:
        return None
    commit, _ = decode_commit(stream, own)
    if commit.digest != snapshot.digest or commit.revision != snapshot.revision:
        return None
    fold = restore_snapshot(snapshot, state)
    reached("an agent is recovered from a snapshot")
    if snapshot.sequence == last.sequence:
        return Recovered(fold, [], snapshot.revision, len(snapshot.state))
    recovered = await _replay(
        services, agent_type, agent, stream, fold, snapshot.sequence + 1, last
    )
    return recovered._replace(
        snapshot_revision=snapshot.revision, snapshot_bytes=len(snapshot.state)
    )


async def _replay(
    services: HostServices,
    agent_type: AgentType[Any],
    agent: AgentId,
    stream: str,
    fold: Fold[Any],
    start: int,
    last: StoredMessage,
) -> Recovered:
    redo: list[tuple[Commit[Any], Encoding]] = []
    clock = services.bus.clock
    size, first, seconds = 0, fold.revision, 0.0
    if last.sequence >= start:
        async for batch in services.journal(stream).messages(agent, start=start):
            began = clock.monotonic()
            for message in batch:
                if message.sequence <= last.sequence:
                    _take(agent_type, stream, fold, message, redo)
                    size += len(message.data)
            seconds += clock.monotonic() - began
    if fold.sequence < last.sequence:
        # The replica that answered lags behind the leader, or only the last commit is missing.
        _take(agent_type, stream, fold, last, redo)
        size += len(last.data)
    out = fold.dispatched
    redo = [job for job in redo if job[0].revision > out]
    return Recovered(fold, redo, tail_bytes=size, commits=fold.revision - first, seconds=seconds)


def _take(
    agent_type: AgentType[Any],
    stream: str,
    fold: Fold[Any],
    message: StoredMessage,
    redo: list[tuple[Commit[Any], Encoding]],
) -> None:
    commit, encoding = decode_commit(stream, message)
    try:
        fold.advance(commit, fold_state(agent_type, stream, fold.state, commit, encoding))
    except Corrupt as error:
        error.stream = stream
        raise
    if commit.effects or commit.outcome == "parked":
        redo.append((commit, encoding))
