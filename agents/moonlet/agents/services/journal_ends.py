"""How far each journal went, and which stream of its name it is: a journal that went back shows.

What this host saw is held against the journal after every reconnect, whenever an append lost to
another commit, and in each look at the streams; what hosts before it saw stands in the bucket
(`JournalMarks`), and is held against it when the host starts.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from moonlet.core.errors import Corrupt, MoonletError
from moonlet.core.marks import reached
from moonlet.streams import (
    Bus,
    Journal,
    JournalMarks,
    Mark,
    StreamFacts,
    facts_up_to,
    fault_of,
    mark_of,
    reached_by,
    stream_facts,
)

LOOKS_MAX: Final = 3
"""Looks at a journal that seems to have gone back, before that is believed: a replica that has
just become the leader may lag for a moment."""


class WentBack(Corrupt):
    """A whole journal is not what it was."""


class JournalEnds:
    """What one host knows of its journals. A journal that went back stays `Corrupt` here until an
    operator raised its epoch, and `judge` saw that."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._journals: dict[str, Journal] = {}
        self._incarnations: dict[str, str] = {}
        self._marks: dict[str, Mark] = {}
        self._written: dict[str, Mark] = {}
        self._doubted: set[str] = set()
        self._store = JournalMarks(bus)
        self._asking = asyncio.Lock()
        self._asked: dict[str, int] = {}
        self._facts: dict[str, StreamFacts | None] = {}
        self.corrupt: dict[str, Corrupt] = {}
        """The journals that went back, and how."""
        self.back: set[str] = set()
        """Those that are what they were again, and whose agents have not been told yet."""
        self.ask: Callable[[], None] = lambda: None
        """Has all partitions `note` how far their commits went: before each judgement."""
        self.reconnects = 0
        """How often the server was away since this host began."""

    def journal(self, stream: str) -> Journal:
        """The reader of a journal stream."""
        journal = self._journals.get(stream)
        if journal is None:
            journal = self._journals[stream] = Journal(self._bus, stream)
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

    def epoch(self, stream: str) -> int:
        """How often an operator accepted a loss of this journal, as far as is known."""
        mark = self._marks.get(stream)
        return mark.epoch if mark is not None else 0

    def note(self, stream: str, sequence: int) -> None:
        """A commit at `sequence` was acknowledged: remember how far the journal went."""
        mark = self._marks.get(stream)
        if mark is not None and sequence > mark.sequence:
            self._marks[stream] = Mark(mark.epoch, sequence, mark.created)

    def _hear(self, stream: str, told: Mark | None) -> None:
        """How far another host saw this very journal go."""
        mark = self._marks.get(stream)
        if mark is not None and told is not None and told.created == mark.created:
            if told.epoch == mark.epoch:
                self.note(stream, told.sequence)

    def reconnected(self) -> None:
        """The server may hold other streams now, or an older state of the same ones."""
        self.reconnects += 1
        self._incarnations.clear()
        self._doubted.update(self._marks)

    def doubt(self, stream: str) -> None:
        """Something was not as it was known: look before anything is concluded from it."""
        self._doubted.add(stream)

    # judging

    async def learn(self, stream: str, types: Iterable[str]) -> str:
        """Hold a journal against what was known of it; returns what is wrong, '' if nothing is.

        Called when a host starts. Without a mark snapshots of these types bear witness.
        """
        mark = await self._store.read(stream)
        if mark is None:
            mark = await self._store.witnessed(stream, types)
        if mark is None:
            facts = await stream_facts(self._bus, stream)
            mark = mark_of(facts, facts.last) if facts is not None else None
        if mark is not None:
            self._marks.setdefault(stream, mark)
        fault = await self.judge(stream)
        if not fault:
            await self.write_marks()  # before any commit of ours: it may be deleted at any time
        return fault

    async def judge(self, stream: str) -> str:
        """Hold a journal against what is known of it; returns what is wrong, '' if nothing is.

        What is wrong is remembered in `corrupt`, and forgotten once it is accepted.
        """
        self.ask()
        if stream in self._doubted or stream in self.corrupt:  # others may have seen more of it
            self._hear(stream, await self._store.read(stream))
        mark = self._marks.get(stream)
        facts = await self._facts_of(stream)
        for look in range(1, LOOKS_MAX + 1):
            if facts is None:
                fault = "it is gone"
                break
            fault = await fault_of(self._bus, facts, mark) if mark is not None else ""
            if not fault:
                self._accept(stream, facts)
                return ""
            if look < LOOKS_MAX and stream not in self.corrupt:
                await self._bus.backoff(look + 3)
                facts = await self._facts_of(stream)
        if stream not in self.corrupt:
            reached("a journal went back")
        self.corrupt[stream] = WentBack(
            f"the journal {stream} is not what it was: {fault}; restore it from its backup, or"
            f" accept the loss with `moonlet topology accept-loss {stream}`",
            stream=stream,
            sequence=mark.sequence if mark is not None else 0,
        )
        return fault

    async def _facts_of(self, stream: str) -> StreamFacts | None:
        """From who is the leader still, as far as the journal's end should be known."""
        mark = self._marks.get(stream)
        return await facts_up_to(self._bus, stream, mark.sequence if mark is not None else 0)

    def _accept(self, stream: str, facts: StreamFacts) -> None:
        mark = self._marks.get(stream)
        now = mark_of(facts, facts.last)
        if mark is None or now.epoch > mark.epoch:
            self._marks[stream] = now
            self._written.pop(stream, None)
        self._incarnations[stream] = facts.incarnation
        self._doubted.discard(stream)
        if self.corrupt.pop(stream, None) is not None:
            self.back.add(stream)

    def is_over(self, error: MoonletError) -> bool:
        """Whether an error of a journal that went back says what is no more."""
        return isinstance(error, WentBack) and error.stream not in self.corrupt

    async def check(self, stream: str) -> None:
        """Raise `Corrupt` if the journal went back, as far as there was a reason to look.

        An operator who means it accepts the loss: the epoch in the stream's metadata is raised.
        """
        if stream in self._doubted:
            await self.judge(stream)
        error = self.corrupt.get(stream)
        if error is not None:
            raise error

    async def check_absent(self, stream: str) -> None:
        """An agent has no commit: see that this is so because the journal is the one it was.

        Those who ask at once share a question that is asked after all of them.
        """
        came = self._asked.get(stream, 0)
        async with self._asking:
            if self._asked.get(stream, 0) == came or stream not in self._facts:
                self._asked[stream] = came + 1
                self._facts.pop(stream, None)
                self._facts[stream] = await stream_facts(self._bus, stream)
            facts = self._facts[stream]
        mark = self._marks.get(stream)
        if mark is not None and (
            facts is None or mark_of(facts, 0).incarnation != mark.incarnation
        ):
            self.doubt(stream)
        await self.check(stream)

    # the marks

    async def write_marks(self) -> None:
        """Store how far the journals went, where they went on. Raises what the server says."""
        for stream, mark in sorted(self._marks.items()):
            if mark == self._written.get(stream) or stream in self.corrupt:
                continue
            now = await reached_by(self._bus, stream, mark.sequence)
            if now is not None and (now.epoch, now.created) == (mark.epoch, mark.created):
                self._hear(stream, await self._store.raise_to(stream, now))
                if now.sequence == mark.sequence:
                    self._written[stream] = mark

    def forget_written(self) -> None:
        """The bucket was deleted: all marks are to be stored again."""
        self._written.clear()
