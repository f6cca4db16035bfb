"""The tail of all journals: what is new, read once for all who look, a few times a second.

Each who looks has a frontier, and no queue: what it misses while it reads nothing costs nothing. It
is told what is behind its frontier, all in one go, in detail as far as that is worth it.
"""

import asyncio
from collections import Counter, deque
from contextlib import aclosing
from typing import Any, Final

import msgspec

from moonlet.core.errors import Corrupt, MoonletError, Undecodable
from moonlet.replay import HistorySource
from moonlet.streams import StoredMessage, decode_plain_commit
from moonlet.web.reading import CommitRow, row_of

LOOK: Final = 0.25
"""Seconds between two looks at the journals."""

AWAY: Final = 1.0
"""Seconds between two looks while the server can't be reached."""

KEPT_MAX: Final = 2_000
"""Commits that are kept for who comes back."""

READ_MAX: Final = 5_000
"""Commits of one look that are read; of more only their number is told."""

Frontier = dict[str, int]


class TailItem(msgspec.Struct, frozen=True):
    """A commit, and where it is."""

    stream: str
    sequence: int
    row: CommitRow


class News(msgspec.Struct, frozen=True):
    """What is behind somebody's frontier: `total` commits, the last ones of them as rows.

    `outcomes` are those of the rows that were read; `away` says why the server can't be reached.
    """

    frontier: Frontier
    total: int
    rows: list[CommitRow]
    outcomes: dict[str, int]
    away: str = ""


class LiveTail:
    """Looks while anybody does. One of a console."""

    def __init__(self, source: HistorySource) -> None:
        self._source = source
        self._kept: deque[TailItem] = deque(maxlen=KEPT_MAX)
        self._frontier: Frontier | None = None
        self._away = ""
        self._moved = asyncio.Condition()
        self.version = 0
        """Grows whenever something is new."""
        self._wanted: Frontier = {}
        self._lookers = 0
        self._task: asyncio.Task[None] | None = None

    async def enter(self, frontier: Frontier | None) -> None:
        """Somebody looks from now on, who has seen all up to a frontier."""
        self._lookers += 1
        if self._frontier is None and frontier is not None:
            self._wanted = frontier
        if self._task is None:
            self._task = asyncio.create_task(self._look(), name="web: the journals' tail")

    async def leave(self) -> None:
        """Nobody looks for that one any more."""
        self._lookers -= 1
        if self._lookers == 0 and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def since(self, frontier: Frontier | None, rows: int) -> News:
        """What is new now; None for one who comes first: only where the journals end."""
        while self._frontier is None and not self._away:
            async with self._moved:
                await self._moved.wait()
        ends = self._frontier or {}
        if frontier is None or not ends:
            return News(dict(ends), 0, [], {}, self._away)
        total = sum(max(0, last - frontier.get(name, 0)) for name, last in ends.items())
        behind = [each.row for each in self._kept if each.sequence > frontier.get(each.stream, 0)]
        outcomes = Counter(row.outcome for row in behind)
        return News(dict(ends), total, behind[-rows:] if rows else [], dict(outcomes), self._away)

    async def moved(self, version: int, seconds: float) -> None:
        """Wait until something is newer than `version`, or for so long."""
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: self.version != version)
        except TimeoutError:
            pass

    async def _look(self) -> None:
        while True:
            try:
                changed = await self._read()
                changed, self._away = changed or bool(self._away), ""
                pause = LOOK
            except MoonletError as error:
                changed, self._away = self._away != str(error), str(error)
                pause = AWAY
            if changed:
                self.version += 1
                async with self._moved:
                    self._moved.notify_all()
            await asyncio.sleep(pause)

    async def _read(self) -> bool:
        facts = await self._source.journals()
        ends = {each.stream: each.last for each in facts}
        first = self._frontier is None
        if self._frontier is None:
            self._frontier = {n: min(last, self._wanted.get(n, last)) for n, last in ends.items()}
        if ends == self._frontier:
            return first
        for name, last in ends.items():
            known = self._frontier.get(name, 0)
            if last > known:
                await self._take(name, max(known, last - READ_MAX))
            elif last < known:  # made anew: nothing that is kept is of it
                items = [each for each in self._kept if each.stream != name]
                self._kept = deque(items, maxlen=KEPT_MAX)
            self._frontier[name] = last
        return True

    async def _take(self, stream: str, known: int) -> None:
        batches = self._source.messages(stream, start=known + 1)
        async with aclosing(batches):
            async for batch in batches:
                for message in batch:
                    row = _row(stream, message)
                    if row is not None:
                        self._kept.append(TailItem(stream, message.sequence, row))
                await asyncio.sleep(0)  # sleeps: others' turn


def _row(stream: str, message: StoredMessage) -> CommitRow | None:
    try:
        return row_of(decode_plain_commit(stream, message))
    except (Undecodable, Corrupt):
        return None


def read_frontier(text: str) -> Frontier | None:
    """From an event's id, `journal:12,other:7`; None if it is none."""
    found: Frontier = {}
    for part in text.split(","):
        name, colon, last = part.rpartition(":")
        if not colon or not last.isascii() or not last.isdigit() or len(last) > 18:
            return None
        found[name] = int(last)
    return found


def write_frontier(frontier: Frontier) -> str:
    """An event's id: where one who got it goes on."""
    return ",".join(f"{name}:{last}" for name, last in sorted(frontier.items()))


def plain_news(news: News) -> dict[str, Any]:
    """What is sent."""
    return {
        "total": news.total,
        "rows": news.rows,
        "outcomes": news.outcomes,
        "away": news.away,
    }
