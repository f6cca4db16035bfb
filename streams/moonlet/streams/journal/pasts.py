"""The stored pasts of agents: sorted runs in pages beside the snapshots, and a list of them.

Pages and indexes are stored under a name that nobody else takes; the list is written last, by
compare-and-set: what it names is whole, whatever died on the way. What no list names is never read
and removed by the agent's next owner. All of it follows from the journal, and may be lost.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import Conflict, InvalidMessage
from moonlet.core.ids import AgentId
from moonlet.core.memory import Fact, Key, RunBuilder, SortedRun, Upto
from moonlet.streams.api import PubAck, ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_conflict
from moonlet.streams.journal.group_commit import EXPECTED_LAST
from moonlet.streams.reading import purge_subject, subject_counts

FORMAT: Final = 1
"""Raised when the layout changes; a list of another format is none, and the journal is read."""

INDEX_PAGES: Final = 96
"""Pages that one index message tells of: about 150 kB."""

AT_ONCE: Final = 16
"""Pages that are being stored at once."""

TIMEOUT: Final = 5.0
"""Seconds until a write's answer is taken for lost."""


class RunHead(msgspec.Struct, frozen=True, array_like=True):
    """A stored run: its name, and how many facts and pages it has."""

    name: str
    count: int
    pages: int


class PastList(msgspec.Struct, frozen=True, array_like=True):
    """The runs of an agent, oldest first; all that its commits up to `upto` pushed out is there."""

    format: int
    incarnation: str
    agent: str
    upto: Upto
    runs: list[RunHead]


class _Index(msgspec.Struct, frozen=True, array_like=True):
    fences: list[bytes]
    prints: list[bytes]


_LISTS: Final = Codec[PastList](PastList, "msgpack")
_INDEXES: Final = Codec[_Index](_Index, "msgpack")


class Pasts:
    """Reader and writer of the stored pasts. Reads are from the stream's leader."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._stream = bus.topology.stream("snapshots")

    def _subject(self, agent: AgentId, *rest: str) -> str:
        return ".".join((self._bus.subjects.snapshot(agent), "past", *rest))

    async def head(self, agent: AgentId) -> tuple[PastList | None, int]:
        """The agent's list, and its sequence (0: there is none); None if it can't be read."""
        stored = await self._bus._js.last_message(self._stream, self._subject(agent))
        if stored is None:
            return None, 0
        try:
            found = _LISTS.decode(stored.data)
        except InvalidMessage:
            return None, stored.sequence
        ours = found.format == FORMAT and found.agent == str(agent)
        return found if ours else None, stored.sequence

    async def runs(self, agent: AgentId, found: PastList) -> list[SortedRun] | None:
        """The runs that the list names, ready to be asked; None if something of them is gone."""
        runs = await asyncio.gather(*(self._run(agent, head, found.upto) for head in found.runs))
        return [run for run in runs if run is not None] if None not in runs else None

    async def _run(self, agent: AgentId, head: RunHead, upto: Upto) -> SortedRun | None:
        fences: list[bytes] = []
        prints: list[bytes] = []
        for number in range(-(-head.pages // INDEX_PAGES)):
            data = await self._read(agent, head.name, f"i{number}")
            if data is None:
                return None
            try:
                index = _INDEXES.decode(data)
            except InvalidMessage:
                return None
            fences += index.fences
            prints += index.prints
        if len(fences) != head.pages or len(prints) != head.pages:
            return None
        return SortedRun(head.name, head.count, fences, prints, None, upto)

    async def page(self, agent: AgentId, run: SortedRun, number: int) -> bytes | None:
        """One page of a stored run; None if it is gone."""
        return await self._read(agent, run.name, str(number))

    async def _read(self, agent: AgentId, name: str, part: str) -> bytes | None:
        subject = self._subject(agent, name, part)
        stored = await self._bus._js.last_message(self._stream, subject)
        return stored.data if stored is not None else None

    async def store(
        self, agent: AgentId, facts: AsyncIterator[tuple[Key, Fact]], upto: Upto
    ) -> SortedRun:
        """Store sorted facts as a run under a new name; no list names it yet.

        Cancelled or refused it leaves pages that nobody reads.
        """
        name = self._bus.entropy.token()
        builder = RunBuilder()
        flying: set[asyncio.Future[Any]] = set()
        pages = 0

        async def put(part: str, data: bytes) -> None:
            flying.add(self._publish(self._subject(agent, name, part), data))
            if len(flying) >= AT_ONCE:
                done, left = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                flying.intersection_update(left)
                for future in done:
                    future.result()

        try:
            async for key, fact in facts:
                page = builder.add(key, fact)
                if page is not None:
                    await put(str(pages), page)
                    pages += 1
            last = builder.flush()
            if last is not None:
                await put(str(pages), last)
            for start in range(0, len(builder.fences), INDEX_PAGES):
                end = start + INDEX_PAGES
                index = _Index(builder.fences[start:end], builder.prints[start:end])
                await put(f"i{start // INDEX_PAGES}", _INDEXES.encode_known(index))
            await asyncio.gather(*flying)
        finally:
            for future in flying:
                future.add_done_callback(_seen)
        return SortedRun(name, builder.count, builder.fences, builder.prints, None, upto)

    async def put_list(
        self, agent: AgentId, incarnation: str, upto: Upto, runs: list[SortedRun], *, place: int
    ) -> int:
        """Name the runs, if the list is still that at sequence `place` (0: none); returns its new.

        Raises `Conflict` if another wrote one.
        """
        heads = [RunHead(run.name, run.count, len(run.fences)) for run in runs]
        data = _LISTS.encode_known(PastList(FORMAT, incarnation, str(agent), upto, heads))
        try:
            ack = await self._publish(self._subject(agent), data, expected=place)
        except ServerRefused as error:
            if is_conflict(error):
                raise Conflict(f"the past of {agent} was stored by another") from None
            raise
        return ack.sequence

    def _publish(
        self, subject: str, data: bytes, *, expected: int | None = None
    ) -> "asyncio.Future[PubAck]":
        headers = {}
        if expected is not None:
            headers[EXPECTED_LAST] = str(expected)
        return self._bus.publish(subject, data, headers=headers or None, timeout=TIMEOUT)

    async def remove(self, agent: AgentId, name: str) -> None:
        """Remove a run that no list names any more."""
        await purge_subject(self._bus, self._stream, self._subject(agent, name, "*"))

    async def names(self, agent: AgentId) -> set[str]:
        """The names of all runs of which something is stored, named by the list or not."""
        filter = self._subject(agent, "*", "*")
        counts = await subject_counts(self._bus, self._stream, filter)
        return {subject.split(".")[-2] for subject in counts}


def _seen(future: "asyncio.Future[Any]") -> None:
    """Its error was told by another, or nobody is there to be told."""
    if not future.cancelled():
        future.exception()
