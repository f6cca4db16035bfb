"""Which tails are read when: by walking back, by themselves, or many in one pass over a journal."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from itertools import islice
from typing import Any, Final

from moonlet.agents.recovery.journal_pass import PROGRESS, JournalPass, fold_all
from moonlet.agents.recovery.journal_walk import WALK_COST, JournalWalk
from moonlet.agents.recovery.kept_tails import KEPT_BYTES, KEPT_SECONDS, OVERHEAD, KeptTails
from moonlet.agents.recovery.pace import Slices
from moonlet.agents.recovery.tail import Tail
from moonlet.agents.recovery.waiting_tail import WaitingTail
from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError, Unavailable
from moonlet.core.marks import buggify, reached
from moonlet.telemetry import get_logger

log = get_logger(__name__)

READS: Final = 24
"""Tails that are read at once, each by itself: the server goes through the journal for all of them
at nearly the cost of one."""

BESIDE: Final = 2
"""Of these, wide ones for which something critical waits, while a pass goes over their journal."""

WIDE: Final = 20_000
"""Messages of the journal from which a tail spread over them is dear. Below, a direct get does it:
the server takes a microsecond a message for it, in the connection's own turn."""

WALK_WORTH: Final = 30
"""How many tails are worth walking back to: fewer are had sooner each by itself, since a walk's
next step is only known when the one before it was answered."""

PASS_WORTH: Final = 40
"""How many tails over one stretch of the journal are worth a pass over it."""

PASS_FIXED: Final = 5_000
"""Messages of the journal that a pass costs before it has read any."""

GATHER: Final = 1.0
"""Seconds that a dear tail waits at most for others that are being looked at: one pass for all."""

GATHER_SHARE: Final = 1.5e-6
"""Seconds of that for each message of the journal over which the tail is spread."""

SCAN: Final = 256
"""Waiting tails among which the most urgent is looked for: the oldest."""


class TailReads:
    """Made by `Recoveries`.

    `is_cold` says of a journal's subject whether this host may be asked for its agent next, and
    `looking` whether more tails may come at any moment.
    """

    def __init__(
        self,
        services: HostServices,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        is_cold: Callable[[str], bool],
        looking: Callable[[], bool],
    ) -> None:
        self._services = services
        self._clock = services.bus.clock
        self._spawn = spawn
        self._is_cold = is_cold
        self._looking = looking
        self._slices = Slices(self._clock)
        self._waiting: dict[str, dict[int, WaitingTail]] = {}
        self._passes: dict[str, JournalPass] = {}
        self._walks: dict[str, JournalWalk] = {}
        self._walked: dict[str, tuple[int, float]] = {}  # commits, and when the last walk ended
        self._kept: list[KeptTails] = []
        self._alone: dict[int, str] = {}  # wide ones name their journal
        self._count = 0
        self._hurried = 0.0
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    async def read(self, tail: Tail, urgency: Callable[[], int]) -> None:
        """Read what the tail lacks. Raises `Undecodable`, `Corrupt`, `Unavailable`, …

        `urgency` is the highest lane in which something waits for the agent, 0 for critical.
        """
        await self._fold_kept(tail)
        while not tail.is_read():
            if self._is_free(tail):
                self._enter(tail)
            elif not await self._turn(tail, urgency):
                continue
            try:
                await self._read_alone(tail)
            finally:
                del self._alone[id(tail)]
                self.look_again()

    def close(self) -> None:
        """Keep nothing more, and decide nothing more."""
        self._kept.clear()
        for handle in (self._soon, self._later, self._expiry):
            if handle is not None:
                handle.cancel()

    # turns

    def _is_free(self, tail: Tail) -> bool:
        return (
            not self._waiting
            and not self._passes
            and len(self._alone) < READS
            and not (tail.span > WIDE and self._looking())
            and not buggify("a tail waits though it could be read")
        )

    def _enter(self, tail: Tail) -> None:
        self._alone[id(tail)] = tail.stream if tail.span > WIDE else ""

    def _grant(self, one: WaitingTail) -> None:
        if not one.told.done():
            self._enter(one.tail)
            one.tell(True)

    async def _turn(self, tail: Tail, urgency: Callable[[], int]) -> bool:
        """Wait until the tail was read in a pass, or True: it is its turn to be read by itself."""
        self._count += 1
        one = WaitingTail(tail, urgency, self._count, self._clock.monotonic())
        going = self._passes.get(tail.stream)
        if (
            going is None
            or (one.urgent and self._has_place_beside(tail.stream))
            or not going.join(one)
        ):
            self._waiting.setdefault(tail.stream, {})[one.number] = one
        self.look_again()
        try:
            return await one.told
        except asyncio.CancelledError:
            self._alone.pop(id(tail), None)  # it may have been told in the same moment
            raise
        finally:
            self._forget(one)

    def _forget(self, one: WaitingTail) -> None:
        stream = one.tail.stream
        waiting = self._waiting.get(stream)
        if waiting is not None and waiting.pop(one.number, None) is not None and not waiting:
            del self._waiting[stream]
        going = self._passes.get(stream)
        if going is not None:
            going.leave(one)
        self.look_again()

    def _has_place_beside(self, stream: str) -> bool:
        beside = sum(name == stream for name in self._alone.values())
        return beside < BESIDE and len(self._alone) < READS

    # deciding

    def look_again(self) -> None:
        """Something changed: see soon who is to be read next; nothing if nobody waits."""
        if self._soon is None and (self._waiting or self._passes):
            self._soon = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._soon = None
        now = self._clock.monotonic()
        if now - self._hurried >= PROGRESS:  # it goes through all that wait
            self._hurried = now
            for going in self._passes.values():
                self._hurry(going)
        for stream, waiting in list(self._waiting.items()):
            if stream in self._passes or stream in self._walks:
                continue
            if together := self._for_a_walk(stream, waiting, now):
                self._begin_walk(stream, waiting, together)
            elif self._is_worth_a_pass(waiting, now):
                self._begin_pass(stream, waiting)
        while len(self._alone) < READS:
            one = self._next(now)
            if one is None:
                break
            self._grant(one)
        if self._waiting and self._looking() and self._later is None:
            self._later = asyncio.get_running_loop().call_later(PROGRESS, self._after_gathering)

    def _after_gathering(self) -> None:
        self._later = None
        self.look_again()

    def _gathers(self, one: WaitingTail, now: float) -> bool:
        """Whether it waits for others: a share of what a pass for all of them would take."""
        span = one.tail.span
        if span <= WIDE or not self._looking():
            return False
        return now - one.since < min(GATHER, GATHER_SHARE * span)

    def _is_worth_a_pass(self, waiting: dict[int, WaitingTail], now: float) -> bool:
        if self._gathers(next(iter(waiting.values())), now):
            return False
        tails = [one.tail for one in waiting.values() if not one.tail.alone]
        if len(tails) < 2:
            return False
        stretch = max(t.last.sequence for t in tails) - min(t.start for t in tails) + 1
        worth = sum(tail.span for tail in tails) >= PASS_WORTH * (stretch + PASS_FIXED)
        return worth or buggify("a few tails are read in a pass")

    def _hurry(self, going: JournalPass) -> None:
        """Who is urgent does not wait for the end of a pass that has far to go."""
        if going.ahead > WIDE and self._has_place_beside(going.kept.stream):
            one = going.most_urgent()
            if one is not None and going.ahead > one.tail.span:
                going.leave(one)
                self._grant(one)

    def _next(self, now: float) -> WaitingTail | None:
        """The one of those that wait which is to be read by itself next."""
        best: WaitingTail | None = None
        for stream, waiting in self._waiting.items():
            going = stream in self._passes or stream in self._walks
            beside = not going or self._has_place_beside(stream)
            for one in islice(waiting.values(), SCAN):
                if one.told.done() or (best is not None and best.rank(now) <= one.rank(now)):
                    continue
                if one.tail.span > WIDE and not ((one.urgent or one.tail.alone) and beside):
                    if going or self._gathers(one, now):
                        continue
                best = one
        return best

    # walks

    def _for_a_walk(
        self, stream: str, waiting: dict[int, WaitingTail], now: float
    ) -> list[WaitingTail]:
        """Those that are worth walking back to: all that wait and can be, if their commits are few.

        In all the walks of one busy time no more is spent than one pass would take: if many are
        asked for a few at a time, what a pass keeps of the others serves them better.
        """
        if self._gathers(next(iter(waiting.values())), now):
            return []
        together = [one for one in waiting.values() if _is_for_a_walk(one.tail)]
        if len(together) < WALK_WORTH:
            return []
        stretch = max(t.tail.last.sequence for t in together) - min(t.tail.start for t in together)
        walked, when = self._walked.get(stream, (0, now))
        if now - when >= KEPT_SECONDS:
            walked = 0
        walked += sum(one.tail.missing for one in together)
        if walked * WALK_COST > stretch + PASS_FIXED or buggify("a few tails are not walked to"):
            return []
        self._walked[stream] = walked, now
        return together

    def _begin_walk(
        self, stream: str, waiting: dict[int, WaitingTail], together: list[WaitingTail]
    ) -> None:
        reached("tails are walked back to")
        self._walks[stream] = going = JournalWalk(self._services, self._slices, together, stream)
        for one in together:
            del waiting[one.number]
        if not waiting:
            del self._waiting[stream]
        count = len(together)
        log.info("a walk back begins", stream=stream, agents=count, commits=going.commits)
        self._spawn(self._walk(going), f"walk back through {stream}")

    async def _walk(self, going: JournalWalk) -> None:
        try:
            await going.run()
        finally:
            del self._walks[going.stream]
            self._walked[going.stream] = self._walked[going.stream][0], self._clock.monotonic()
            self.look_again()

    # passes

    def _begin_pass(self, stream: str, waiting: dict[int, WaitingTail]) -> None:
        reached("many tails are read in one pass")
        self._count += 1
        together = [one for one in waiting.values() if not one.tail.alone]
        tails = [one.tail for one in together]
        types = {tail.agent.type for tail in tails}
        start = min(tail.start for tail in tails)
        stretch = max(tail.last.sequence for tail in tails) - start + 1
        size = sum(len(tail.last.data) + OVERHEAD for tail in tails) // len(tails)
        kept = KeptTails(
            stream,
            types.pop() if len(types) == 1 else "",
            start,
            number=self._count,
            most=KEPT_BYTES - sum(kept.bytes for kept in self._kept),
            expected=stretch * size,
            connection=self._services.ends.reconnects,
        )
        going = JournalPass(
            self._services,
            self._slices,
            together,
            kept,
            self._may_be_asked_for,
            self.look_again,
        )
        self._passes[stream] = going
        for one in together:
            del waiting[one.number]
        if not waiting:
            del self._waiting[stream]
        log.info("a pass over a journal begins", stream=stream, agents=len(tails), start=start)
        self._spawn(self._run(going), f"pass over {stream}")

    async def _run(self, going: JournalPass) -> None:
        error: MoonletError = Unavailable("the pass over the journal was given up: read again")
        try:
            await going.run()
        except MoonletError as why:
            error = why
            log.info("a pass ends early", stream=going.kept.stream, error=str(why))
        finally:
            del self._passes[going.kept.stream]
            going.end(error)
            self._keep(going.kept)
            self.look_again()

    # what was read in passing

    def _may_be_asked_for(self, subject: str) -> bool:
        return not any(kept.has(subject) for kept in self._kept) and self._is_cold(subject)

    def _keep(self, kept: KeptTails) -> None:
        if kept.bytes:
            kept.used = self._clock.monotonic()
            self._kept.append(kept)
            if self._expiry is None:
                loop = asyncio.get_running_loop()
                self._expiry = loop.call_later(KEPT_SECONDS, self._expire)

    def _expire(self) -> None:
        now = self._clock.monotonic()
        self._kept = [kept for kept in self._kept if now - kept.used < KEPT_SECONDS]
        self._expiry = None
        if self._kept:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(KEPT_SECONDS, self._expire)

    def keeps(self, tail: Tail) -> bool:
        """Whether a pass has read what the tail goes on with, and it was kept."""
        connection = self._services.ends.reconnects
        subject = self._services.bus.subjects.journal(tail.agent)
        going = self._passes.get(tail.stream)
        all_kept = self._kept if going is None else [*self._kept, going.kept]
        return any(kept.has(subject) and kept.reaches(tail, connection) for kept in all_kept)

    async def _fold_kept(self, tail: Tail) -> None:
        """Fold what a pass has read of the agent already; what can't be is read again."""
        connection = self._services.ends.reconnects
        subject = self._services.bus.subjects.journal(tail.agent)
        for kept in self._kept:
            messages = kept.take(subject) if kept.reaches(tail, connection) else None
            if messages is not None:
                reached("who is asked for was kept")
                kept.used = self._clock.monotonic()
                pace = self._slices.pace()
                if await fold_all(tail, messages, pace):
                    tail.passed(kept.position)
                tail.seconds += pace.seconds
                return

    # reading by itself

    async def _read_alone(self, tail: Tail) -> None:
        pace = self._slices.pace()
        tail.gone_over += tail.span
        messages = self._services.journal(tail.stream).messages(
            tail.agent, start=tail.start, end=tail.last.sequence, wide=tail.span > WIDE
        )
        async with aclosing(messages) as batches:
            async for batch in batches:
                async with pace:
                    for message in batch:
                        tail.take(message)
                        if pace.due():
                            await pace.rest()
                if batch[-1].sequence >= tail.last.sequence:
                    break
        tail.passed(tail.last.sequence)
        tail.seconds += pace.seconds


def _is_for_a_walk(tail: Tail) -> bool:
    """Whether walking back to it may be right, and cheaper than looking for its commits."""
    if tail.span <= WIDE or tail.alone or tail.skips or not tail.walkable:
        return False
    return tail.missing > 1 and tail.missing * WALK_COST <= tail.span
