"""A walk back through a journal for a few agents: from each commit to the one before it.

A commit is stored with the sequence that the server expected behind it, so the way back costs a get
by sequence for each commit, however many of other agents stand between. The server unpacks a block
of messages at a time, so the highest sequence of all is read next: each block is unpacked once.

What a header says is a hint. It is followed only to a message of the same agent; as many must be
found as the agent's subject has, says the leader, and each must follow from the one before by
revision and digest. Where anything else is found the journal is read without hints.
"""

import asyncio
import heapq
from collections.abc import Sequence
from typing import Final

from moonlet.agents.recovery.journal_pass import fold_all
from moonlet.agents.recovery.pace import Pace, Slices
from moonlet.agents.recovery.tail import Tail, before
from moonlet.agents.recovery.waiting_tail import WaitingTail
from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError
from moonlet.core.marks import buggify, reached
from moonlet.streams import StoredMessage, stands_apart
from moonlet.telemetry import get_logger

log = get_logger(__name__)

IN_FLIGHT: Final = 16
"""Gets at once."""

WALK_COST: Final = 20
"""Messages of a journal that a pass goes over in the time of one step back."""

WALK_BYTES: Final = 64 * 1_048_576
"""Bytes of commits that are held at once until they can be folded."""

OVERHEAD: Final = 640
"""Bytes that a message takes in memory beside its data, with decoded headers."""


class _Steps:
    """How far one tail was walked back: `found`, newest first, `left` to be found."""

    __slots__ = ("bytes", "found", "left", "one")

    def __init__(self, one: WaitingTail) -> None:
        self.one = one
        self.found: list[StoredMessage] = []
        self.left = one.tail.missing - 1
        self.bytes = 0


class JournalWalk:
    """The tails of `waiting`, all of the journal `stream`; `commits` is how many it goes for.

    Each is told when it was read, or that it was not: it is not to be walked again then.
    """

    def __init__(
        self,
        services: HostServices,
        slices: Slices,
        waiting: Sequence[WaitingTail],
        stream: str,
    ) -> None:
        self.stream = stream
        self.commits = sum(one.tail.missing for one in waiting)
        self._waiting = waiting
        self._journal = services.journal(stream)
        self._slices = slices
        self._heap: list[tuple[bool, int, int, _Steps]] = []
        self._bytes = 0
        self._error: MoonletError | None = None

    async def run(self) -> None:
        """Walk until all are told. Whoever is not told when it ends was not read."""
        try:
            for one in self._waiting:
                self._go_on(_Steps(one), one.tail.last)
            await asyncio.gather(*(self._work() for _ in range(IN_FLIGHT)))
        finally:
            if self._error is not None:
                log.info("a walk back ends early", stream=self.stream, error=str(self._error))
            for one in self._waiting:
                if not one.told.done():
                    _give_up(one)

    async def _work(self) -> None:
        pace = self._slices.pace()
        while self._heap and self._error is None:
            _, sequence, _, steps = heapq.heappop(self._heap)
            if steps.one.told.done():  # nobody waits for it any more
                self._forget(steps)
                continue
            try:
                message = await self._journal.glimpse(-sequence)
                right = message is not None and self._take(steps, message)
                if right and not steps.left:
                    right = await self._is_whole(steps.one.tail)
            except MoonletError as error:
                self._error = error
                return
            if not right:
                self._leave(steps)
            elif not steps.left:
                await self._fold(steps, pace)

    async def _is_whole(self, tail: Tail) -> bool:
        """Whether the agent has as many messages as its last commit's revision says.

        So nothing stands between two of them that no header tells of.
        """
        count = await self._journal.count(tail.agent, at_least=tail.last.sequence)
        return count == tail.fold.revision + tail.missing

    def _take(self, steps: _Steps, message: StoredMessage) -> bool:
        if message.subject != steps.one.tail.last.subject or stands_apart(message):
            return False
        size = len(message.data) + OVERHEAD
        if self._bytes + size > WALK_BYTES or buggify("a walk back is given up"):
            return False
        steps.found.append(message)
        steps.bytes += size
        self._bytes += size
        steps.left -= 1
        return self._go_on(steps, message)

    def _go_on(self, steps: _Steps, message: StoredMessage) -> bool:
        """To what stands before `message`; False if that can't be right."""
        tail, sequence = steps.one.tail, before(message)
        if sequence is None or sequence >= message.sequence:
            return False
        if not steps.left:
            return sequence == tail.fold.sequence
        if sequence <= tail.fold.sequence:
            return False
        entry = (not steps.one.urgent, -sequence, steps.one.number, steps)
        heapq.heappush(self._heap, entry)
        return True

    async def _fold(self, steps: _Steps, pace: Pace) -> None:
        tail, seconds = steps.one.tail, pace.seconds
        folded = await fold_all(tail, reversed(steps.found), pace)
        tail.seconds += pace.seconds - seconds
        if folded and tail.is_followed_by_last():
            reached("an agent is read by walking back")
            tail.passed(tail.last.sequence)
            tail.gone_over += WALK_COST * len(steps.found)
            self._forget(steps)
            steps.one.tell(False)
        else:
            self._leave(steps)

    def _leave(self, steps: _Steps) -> None:
        self._forget(steps)
        _give_up(steps.one)

    def _forget(self, steps: _Steps) -> None:
        self._bytes -= steps.bytes
        steps.found, steps.bytes = [], 0


def _give_up(one: WaitingTail) -> None:
    reached("an agent that was walked back to is read without hints")
    one.tail.walkable = False
    one.tell(False)
