"""One agent's commits by their revisions, read where they are asked for, and nothing folded.

Revisions follow one another, but their sequences are those of a journal that others write too. So
a page is read from where the revision should be if all wrote at an even pace, and its records say
which revisions it really holds.
"""

from collections import OrderedDict
from contextlib import aclosing
from typing import Any, Final

import msgspec

from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Invalid, MoonletError, Undecodable
from moonlet.core.ids import AgentId
from moonlet.replay.sources.reading import last_revision
from moonlet.replay.sources.source import HistorySource
from moonlet.streams import StoredMessage, decode_plain_commit

PAGES_MAX: Final = 32
"""Pages that are in memory; the ones used longest ago go first."""

NEAR: Final = 64
"""Commits before the one that is wanted that a page begins with, about."""

Record = Commit[Any] | MoonletError


class _PageOfCommits(msgspec.Struct):
    """The records of revisions `first` to `last`, one of them at least; `end` is a sequence."""

    first: int
    last: int
    records: dict[int, Record]
    start: int
    end: int


class CommitPages:
    """A history as of when it was opened; any commit of it is a few looks away."""

    def __init__(self, source: HistorySource, agent: AgentId, last: int, end: int) -> None:
        self.agent = agent
        self.last = last
        """The last revision, 0 if there is none."""
        self._source = source
        self._stream = source.topology.journal_of(agent.type)
        self._end = end
        self._pages: OrderedDict[int, _PageOfCommits] = OrderedDict()

    @classmethod
    async def open(cls, source: HistorySource, agent: AgentId) -> "CommitPages":
        """Look at its end; raises `Unavailable`, `Corrupt`."""
        message = await source.last(agent)
        last = await last_revision(source, agent)
        return cls(source, agent, last, message.sequence if message is not None else 0)

    async def commit(self, revision: int) -> Commit[Any]:
        """The commit of a revision, bodies plain.

        Raises `Undecodable` and `Corrupt` for one that makes no sense, `Invalid` if there is none
        or a repair took its place, `Unavailable`.
        """
        if not 1 <= revision <= self.last:
            raise Invalid(f"{self.agent} has no revision {revision}: its last is {self.last}")
        page = self._held(revision) or await self._find(revision)
        found = page.records.get(revision) if page is not None else None
        if found is None:
            raise Invalid(f"{self.agent}@{revision} is not in {self._stream}: it can't be read")
        if isinstance(found, MoonletError):
            raise found
        return found

    def _held(self, revision: int) -> _PageOfCommits | None:
        for page in reversed(self._pages.values()):
            if page.first <= revision <= page.last:
                self._pages.move_to_end(page.start)
                return page
        return None

    async def _find(self, revision: int) -> _PageOfCommits | None:
        """Read pages, ever nearer, until one holds the revision. None if it lies between two."""
        low, high = (0, 0), (self.last + 1, self._end + 1)
        while high[1] - low[1] > 1:
            pace = max(1.0, (high[1] - low[1]) / max(1, high[0] - low[0]))
            guess = low[1] + int((revision - low[0] - NEAR) * pace)
            start = min(max(low[1] + 1, guess), high[1] - 1)
            page = await self._read(start, low)
            if page is None or page.first > revision:
                if start == low[1] + 1:
                    return None
                high = (high[0] if page is None else page.first), start
            elif page.last >= revision:
                return page
            else:
                low = page.last, page.end
        return None

    async def _read(self, start: int, low: tuple[int, int]) -> _PageOfCommits | None:
        """What comes at once from a sequence on, once a record of it makes sense. None: nothing."""
        subject = self._source.subjects.journal(self.agent)
        batches = self._source.messages(self._stream, subject, start=start)
        records: list[tuple[int, Record]] = []
        end = start
        begins = low[0] if start == low[1] + 1 else None  # the revision before, if that is known
        async with aclosing(batches):
            async for batch in batches:
                records += [self._record(message) for message in batch]
                end = batch[-1].sequence if batch else end
                if len(records) >= 2 * NEAR and any(revision for revision, _ in records):
                    break
        numbered = _numbered(records, begins, self.last)
        if not numbered:
            return None
        page = _PageOfCommits(min(numbered), max(numbered), numbered, start, end)
        self._pages[start] = page
        while len(self._pages) > PAGES_MAX:
            self._pages.popitem(last=False)
        return page

    def _record(self, message: StoredMessage) -> tuple[int, Record]:
        """With its revision, 0 if it does not say so."""
        try:
            commit = decode_plain_commit(self._stream, message)
        except (Undecodable, Corrupt) as error:
            return 0, error
        return commit.revision, commit


def _numbered(
    records: list[tuple[int, Record]], begins: int | None, last: int
) -> dict[int, Record]:
    """Revision → record. One that makes no sense has the number that is free at its place."""
    first = next((index for index, each in enumerate(records) if each[0]), len(records))
    if begins is not None:
        number = begins
    elif first < len(records):
        number = records[first][0] - first - 1
    else:
        number = last - len(records)
    found: dict[int, Record] = {}
    for said, record in records:
        number = said or number + 1
        if said or number not in found:
            found[number] = record
    return {revision: record for revision, record in found.items() if 1 <= revision <= last}
