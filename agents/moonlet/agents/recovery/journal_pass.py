"""One pass over a journal for many agents: each tail is folded as it comes by.

The server takes 4 us a message for all of a journal, 20 us for what a wildcard lets pass, and a
millisecond for each message of a list of agents; one agent by itself costs it about a microsecond
for each message that is passed over.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from moonlet.agents.recovery.kept_tails import KeptTails
from moonlet.agents.recovery.pace import Pace, Slices
from moonlet.agents.recovery.tail import Tail
from moonlet.agents.recovery.waiting_tail import WaitingTail
from moonlet.agents.services import HostServices
from moonlet.core.errors import Corrupt, MoonletError, Unavailable, Undecodable
from moonlet.core.marks import buggify, reached
from moonlet.streams import HistoryReader, Sieve, StoredMessage, stands_apart
from moonlet.telemetry import get_logger

log = get_logger(__name__)

STALL: Final = 5.0
"""Seconds without a message after which a pass ends: what it waits for is not there."""

STALLS_MAX: Final = 5
"""Readers in a row that gave nothing, after which a pass ends."""

REST: Final = 1 / 16
"""The share of a pass that it goes on for the sake of what is kept."""

MOST: Final = 1 / 3
"""The share of a journal's messages from which a type's are read with those of all others."""

PROGRESS: Final = 0.1
"""Seconds between two looks at who has become urgent meanwhile."""


class JournalPass:
    """The tails of `waiting`, all of one journal, and of others who `join` in time.

    Of one agent type, if `kept` is; of all, if that is no dearer.

    Who is told was read up to some sequence, which may be short of the last: what a pass can't
    fold is left to be read, and judged, by itself. Messages of agents that `is_cold` says this host
    may be asked for next are `kept`. `on_progress` is called now and then.
    """

    def __init__(
        self,
        services: HostServices,
        slices: Slices,
        waiting: Iterable[WaitingTail],
        kept: KeptTails,
        is_cold: Callable[[str], bool],
        on_progress: Callable[[], None],
    ) -> None:
        self.kept = kept
        self._services = services
        self._pace = slices.pace()
        self._clock = slices.clock
        self._is_cold = is_cold
        self._on_progress = on_progress
        self._sieve = Sieve(self._wants)
        self._reader: HistoryReader | None = None
        self._tails: dict[str, WaitingTail] = {}
        self._served: set[str] = set()
        self._ends: list[tuple[int, int, WaitingTail]] = []
        self._joined: dict[str, list[StoredMessage]] = {}  # to be folded before what comes by
        self._position = kept.position
        self._end = self._rest = 0
        self._commits = 0
        self._told = 0.0
        for one in waiting:
            self._add(one)

    @property
    def ahead(self) -> int:
        """Over how many messages of the journal it still has to go."""
        return max(0, self._end - self._position)

    def _subject(self, one: WaitingTail) -> str:
        return self._services.bus.subjects.journal(one.tail.agent)

    def _wants(self, subject: str) -> bool:
        """Asked once for each agent, at the first of its messages, and anew when it joins."""
        if subject in self._tails:
            return True
        return subject not in self._served and self.kept.admit(subject, self._is_cold)

    def _add(self, one: WaitingTail) -> None:
        subject, last = self._subject(one), one.tail.last.sequence
        self._tails[subject] = one
        self._served.add(subject)
        self.kept.take(subject)  # what comes by is its own now: kept, it would have a hole
        self._sieve.forget(subject)
        self._end = max(self._end, last)
        heapq.heappush(self._ends, (last, one.number, one))

    def join(self, one: WaitingTail) -> bool:
        """Read it too, if all of it still comes by, or was kept."""
        tail, subject = one.tail, self._subject(one)
        if tail.alone:
            return False
        if self.kept.agent_type not in ("", tail.agent.type) or subject in self._tails:
            return False
        arrived = self._position if self._reader is None else self._reader.position
        if tail.start > max(arrived, self._position):
            self._add(one)
            return True
        within = self.kept.reaches(tail, self._services.ends.reconnects)
        messages = self.kept.take(subject) if within else None
        if messages is None:
            return False
        reached("who joins a pass finds what it has read kept")
        self._add(one)
        self._joined[subject] = messages
        return True

    def leave(self, one: WaitingTail) -> None:
        """Read it no more; nothing if it isn't here."""
        subject = self._subject(one)
        if self._tails.get(subject) is one:
            del self._tails[subject]
            self._sieve.forget(subject)
            if not self._tails and self._reader is not None:
                self._reader.wake()

    def most_urgent(self) -> WaitingTail | None:
        """The oldest for which something critical waits."""
        urgent = [one for one in self._tails.values() if one.urgent]
        return min(urgent, key=lambda one: one.number, default=None)

    # running

    async def run(self) -> None:
        """Read until nobody waits any more. Raises `Unavailable`, `ServerRefused` and the like.

        What is still here then was not read to its end.
        """
        services, stream = self._services, self.kept.stream
        journal, ends = services.journal(stream), services.ends
        incarnation = await ends.incarnation(stream)
        stalls = 0
        while self._tails:
            if stalls > STALLS_MAX:
                raise Unavailable(f"stream {stream} stopped answering: see the server's log")
            if stalls:
                await services.bus.backoff(stalls)
                # What was read must be of the same stream as what is read next.
                if await journal.incarnation() != incarnation:
                    raise Unavailable(f"stream {stream} is another one now")
            position = self._position
            reader = journal.sift(self.kept.agent_type, self._sieve, start=position + 1)
            try:
                await reader.open()
                if self.kept.agent_type and reader.pending > MOST * self.ahead:
                    self.kept.agent_type = ""
                    continue
                self._go_on_to(position + reader.pending)
                self._reader = reader
                await self._read(reader)
            finally:
                self._reader = None
                await reader.close()
            if ends.reconnects != self.kept.connection:
                raise Unavailable("the connection was lost while a journal was read: read again")
            stalls = 1 if self._position > position else stalls + 1

    def _go_on_to(self, end: int) -> None:
        """Read the rest of the journal too, if it is little: all that is kept is complete then."""
        if end - self._end <= REST * (self._end - self.kept.start):
            self._rest = end

    async def _read(self, reader: HistoryReader) -> None:
        while self._tails or self._end <= self._position < self._rest:
            if not await reader.wait(STALL):
                reached("a pass waits for what does not come")
                self._tell_all_up_to(self._end)
                return
            if not reader.has_more and reader.broken:
                return
            if buggify("a pass begins again where it is"):
                return
            await self._fold_joined()
            batch, position = reader.take(), reader.position
            await self._fold(batch)
            await self._fold_joined()  # who joined meanwhile has what was kept of the batch
            self._position = self.kept.position = position
            self._tell_all_up_to(position)
            now = self._clock.monotonic()
            if now - self._told >= PROGRESS:
                self._told = now
                self._on_progress()

    async def _fold_joined(self) -> None:
        while self._joined:
            subject, messages = self._joined.popitem()
            one = self._tails.get(subject)
            if one is not None and not await fold_all(one.tail, messages, self._pace):
                self._hand_back(one)

    async def _fold(self, batch: Sequence[StoredMessage]) -> None:
        tails, joined, kept, pace = self._tails, self._joined, self.kept, self._pace
        async with pace:
            for message in batch:
                one = tails.get(message.subject)
                if one is None:
                    kept.add(message)
                    continue
                if joined and message.subject in joined:
                    joined[message.subject].append(message)
                    continue
                if not fold(one.tail, message):
                    self._hand_back(one)
                self._commits += 1
                if pace.due():
                    await pace.rest()

    def _hand_back(self, one: WaitingTail) -> None:
        """What is left of it is read, and judged, by itself."""
        reached("an agent of many that are read is read by itself")
        one.tail.alone = True
        self.leave(one)
        one.tell(False)

    def _tell_all_up_to(self, position: int) -> None:
        ends = self._ends
        while ends and ends[0][0] <= position:
            one = heapq.heappop(ends)[2]
            if self._tails.get(self._subject(one)) is one:
                self.leave(one)
                tail = one.tail
                tail.passed(self._position)
                tail.gone_over += (position - self.kept.start + 1) // len(self._served)
                if self._commits:
                    tail.seconds = self._pace.seconds * tail.commits / self._commits
                one.tell(False)

    def end(self, error: MoonletError) -> None:
        """Whoever is still waited for was not read: that is why."""
        tails = list(self._tails.values())
        self._tails.clear()
        for one in tails:
            one.fail(error)


def fold(tail: Tail, message: StoredMessage) -> bool:
    """Fold one message; False if it can't be here: its record stands apart, or makes no sense."""
    if stands_apart(message):
        return False
    try:
        tail.take(message)
    except (Undecodable, Corrupt) as error:
        log.info("a commit can't be folded", agent=str(tail.agent), error=str(error))
        return False
    return True


async def fold_all(tail: Tail, messages: Iterable[StoredMessage], pace: Pace) -> bool:
    """Fold all of one agent's; False if one can't be."""
    async with pace:
        for message in messages:
            if not fold(tail, message):
                return False
            if pace.due():
                await pace.rest()
    return True
