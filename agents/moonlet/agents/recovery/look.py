"""The first look at an agent's journal: its end, and a snapshot that fits."""

from typing import Any, Final

from moonlet.agents.deciding import initial_state
from moonlet.agents.definition import AgentType
from moonlet.agents.recovery.past_keeper import PastKeeper
from moonlet.agents.recovery.tail import Tail
from moonlet.agents.services import HostServices
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.marks import buggify, reached
from moonlet.streams import (
    Snapshot,
    StoredMessage,
    StreamGone,
    decode_commit,
    restore_snapshot,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

FAR: Final = 20_000
"""Messages of the journal before an agent's last commit from which its first is looked for."""


async def look(
    services: HostServices, agent_type: AgentType[Any], agent: AgentId
) -> "Tail | Fold[Any]":
    """What is to be read of the agent; its fold, if it has no commit.

    The end comes first and from the leader, so absence is never concluded from a replica that
    lags. The snapshot's own last commit is read again and its digest compared.
    Raises `Undecodable`, `Corrupt`, `Unavailable`.
    """
    stream = services.bus.topology.journal_of(agent.type)
    try:
        last = await services.journal(stream).last(agent)
    except StreamGone:
        services.ends.doubt(stream)
        await services.ends.check(stream)
        raise
    if last is None:
        await services.ends.check_absent(stream)
        return Fold(initial_state(agent_type))
    await services.ends.check(stream)
    snapshot = await _usable_snapshot(services, agent_type, agent, stream, last)
    if snapshot is not None:
        tail = await _behind(services, agent_type, agent, stream, snapshot, last)
        if tail is not None:
            await tail.learn_skips(services)
            return tail
        log.warning("a snapshot does not fit its journal", agent=str(agent))
    fold = Fold(initial_state(agent_type))
    tail = Tail(agent_type, agent, stream, fold, last, running=services.running)
    await tail.learn_skips(services)
    return tail


async def begin(services: HostServices, tail: Tail) -> None:
    """Fold the first commit of a long tail, so that it is known where it begins.

    The server finds an agent's first at once; the next behind a snapshot it would have to look for.
    """
    if tail.fold.revision == 0 and tail.span > FAR and not tail.is_read():
        first = await services.journal(tail.stream).next(tail.agent, start=1)
        if first is not None:
            tail.take(first)


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
    except BaseException as error:  # nothing is awaited here: its class may raise what it likes
        log.warning("a snapshot can't be read", agent=str(agent), error=str(error))
        return None


async def _behind(
    services: HostServices,
    agent_type: AgentType[Any],
    agent: AgentId,
    stream: str,
    found: tuple[Snapshot, Any],
    last: StoredMessage,
) -> Tail | None:
    """The tail behind the snapshot's own commit; None if that isn't what the snapshot says."""
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
    if commit.time != snapshot.time:
        services.alarm("a snapshot does not follow from its journal", agent=str(agent))
        return None
    fold = restore_snapshot(snapshot, state)
    if snapshot.past:
        revision = decode_commit(stream, last)[0].revision
        loaded = await PastKeeper(services, stream).load(agent, revision)
        if loaded.runs is None or loaded.upto.revision < snapshot.past:
            log.warning("what a snapshot relies on is gone", agent=str(agent))
            return None
        fold.own_past().adopt(loaded.runs, loaded.upto, loaded.place)
    fold.repaired = commit.repaired if commit.repair is None else commit.sequence
    reached("an agent is recovered from a snapshot")
    size = len(snapshot.state)
    return Tail(agent_type, agent, stream, fold, last, size, running=services.running)
