"""What all agents of one host share: the bus and what writes to it, the clock, recent outcomes."""

from collections import OrderedDict
from typing import Any, Final

from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt
from moonlet.core.fold import body_digest, plain_body
from moonlet.core.hlc import HybridClock
from moonlet.streams import (
    Answer,
    Bus,
    GroupCommit,
    Journal,
    Mailboxes,
    ParkedStream,
    Registry,
    Snapshots,
    Timers,
    stream_facts,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

RECENT: Final = 4_096
"""Outcomes that a host remembers, to answer retries without reading the journal."""

ALARM_EVERY: Final = 10.0
"""Seconds between two log lines of one alarm."""


class Services:
    """Made by a host, used by its partitions and agents."""

    def __init__(self, bus: Bus, registry: Registry, app_version: str) -> None:
        self.bus = bus
        self.registry = registry
        self.app_version = app_version
        self.mailboxes = Mailboxes(bus)
        self.timers = Timers(bus)
        self.parked = ParkedStream(bus)
        self.snapshots = Snapshots(bus)
        self.hlc = HybridClock()
        self.alarms: dict[str, int] = {}
        self._alarmed: dict[str, float] = {}
        self._writers: dict[str, GroupCommit] = {}
        self._journals: dict[str, Journal] = {}
        self._incarnations: dict[str, str] = {}
        self._ends: dict[str, tuple[str, int]] = {}
        self._doubted: set[str] = set()
        self._recent: OrderedDict[tuple[str, str], tuple[Commit[Any], Encoding]] = OrderedDict()

    def writer(self, stream: str) -> GroupCommit:
        """The group commit of a journal stream."""
        writer = self._writers.get(stream)
        if writer is None:
            writer = self._writers[stream] = GroupCommit(self.bus, stream)
        return writer

    def journal(self, stream: str) -> Journal:
        """The reader of a journal stream."""
        journal = self._journals.get(stream)
        if journal is None:
            journal = self._journals[stream] = Journal(self.bus, stream)
        return journal

    async def incarnation(self, stream: str) -> str:
        """The journal's incarnation, read once a connection."""
        known = self._incarnations.get(stream)
        if known is None:
            known = self._incarnations[stream] = await self.journal(stream).incarnation()
        return known

    def known_incarnation(self, stream: str) -> str | None:
        """The same without asking the server."""
        return self._incarnations.get(stream)

    def note_end(self, stream: str, sequence: int) -> None:
        """Remember how far a journal went, so that one that went back is noticed."""
        known = self._ends.get(stream)
        if known is None or sequence > known[1]:
            self._ends[stream] = self._incarnations.get(stream, ""), sequence

    def reconnected(self) -> None:
        """The server may hold other streams now, or an older state of the same ones."""
        self._incarnations.clear()
        self._doubted.update(self._ends)

    async def check_end(self, stream: str) -> None:
        """After a reconnect, once: raise `Corrupt` if the journal ends before what was known.

        An operator who means it raises `moonlet.epoch` in the stream's metadata.
        """
        if stream not in self._doubted:
            return
        incarnation, end = self._ends[stream]
        facts = await stream_facts(self.bus, stream)
        now = await self.incarnation(stream)
        if facts is not None and now == incarnation and facts.last < end:
            raise Corrupt(
                f"stream {stream} ends at {facts.last}, but {end} was acknowledged:"
                " it was restored from an older state; to accept the loss, raise `moonlet.epoch`"
                " in the stream's metadata and restart the hosts",
                stream=stream,
                sequence=end,
            )
        # Others ask beside us, and may have noted a newer end meanwhile.
        if now != incarnation and self._ends.get(stream) == (incarnation, end):
            del self._ends[stream]
        self._doubted.discard(stream)

    async def drain(self) -> None:
        """Wait until no append is in flight."""
        for writer in list(self._writers.values()):  # another's first append may come meanwhile
            await writer.drain()

    def remember(self, commit: Commit[Any], encoding: Encoding) -> None:
        """Keep a commit for those who ask for its outcome again."""
        recent = self._recent
        recent[commit.agent, commit.command.id] = commit, encoding
        if len(recent) > RECENT:
            recent.popitem(last=False)

    def recall(self, agent: str, command_id: str) -> tuple[Commit[Any], Encoding] | None:
        """The commit of a command decided here a short while ago, and its encoding."""
        return self._recent.get((agent, command_id))

    def alarm(self, what: str, **facts: Any) -> None:
        """Count what an operator should see, and log it, at most every ten seconds."""
        self.alarms[what] = self.alarms.get(what, 0) + 1
        now = self.bus.clock.monotonic()
        last = self._alarmed.get(what)
        if last is None or now - last >= ALARM_EVERY:
            self._alarmed[what] = now
            log.error(what, count=self.alarms[what], **facts)


def answer_of(commit: Commit[Any], stream: str) -> Answer:
    """What the sender of a committed command is told."""
    return Answer(
        commit.outcome,
        commit.command.id,
        commit.reply,
        commit.reason,
        commit.error,
        stream,
        commit.sequence,
        commit.revision,
    )


def same_command(commit: Commit[Any], digest: str) -> bool:
    """Whether a commit is that of the command with this `body_digest` ('' : not told)."""
    command = commit.command
    return not digest or digest == body_digest(command.name, plain_body(command.body))


def conflict_answer(id: str, agent: str) -> Answer:
    """What the sender of another command under a used id is told."""
    return Answer(
        "failed",
        id,
        reason=f"{agent}: the id {id} was used before, with another command: use a new id",
        error="Conflict",
    )
