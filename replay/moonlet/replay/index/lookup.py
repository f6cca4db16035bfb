"""Commits by an index, and read from the source one by one: a history of millions is no matter."""

from collections.abc import Callable
from typing import Any, TypeVar

from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Unavailable, Undecodable
from moonlet.replay.causes import ScanLookup
from moonlet.replay.index.database import in_our_words
from moonlet.replay.index.index import Hit, Index
from moonlet.replay.sources import HistorySource
from moonlet.streams import decode_plain_commit

T = TypeVar("T")


class IndexLookup:
    """A `Lookup`. What the index does not know yet is not found.

    Where it turns out to be damaged, or says what the source does not, histories are read instead.
    """

    def __init__(self, index: Index, source: HistorySource) -> None:
        self._index = index
        self._source = source
        self._scan = ScanLookup(source)

    async def commit(self, agent: str, revision: int) -> Commit[Any] | None:
        """By its place in the index."""
        try:
            return await self._read(self._asked(lambda: self._index.commit(agent, revision)))
        except _Wrong:
            return await self._scan.commit(agent, revision)

    async def of_command(self, agent: str, id: str) -> Commit[Any] | None:
        """The first with that id."""
        try:
            found = self._asked(lambda: self._index.of_command(id, agent))
            return await self._read(found[0]) if found else None
        except _Wrong:
            return await self._scan.of_command(agent, id)

    async def of_correlation(self, correlation: str) -> list[Commit[Any]]:
        """In the order of times; records that make no sense are passed over."""
        try:
            hits = self._asked(lambda: self._index.of_correlation(correlation))
            found = [await self._read(hit) for hit in hits]
        except _Wrong:
            return await self._scan.of_correlation(correlation)
        commits = [commit for commit in found if commit is not None]
        return sorted(commits, key=lambda commit: (commit.time, commit.agent, commit.revision))

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            with in_our_words(None):
                return ask()
        except (Corrupt, Unavailable):
            raise _Wrong from None

    async def _read(self, hit: Hit | None) -> Commit[Any] | None:
        if hit is None:
            return None
        if hit.stream not in self._source.topology.journal_streams:
            raise _Wrong
        message = await self._source.message(hit.stream, hit.sequence)
        try:
            commit = decode_plain_commit(hit.stream, message) if message is not None else None
        except (Undecodable, Corrupt):
            return None
        wanted = (hit.agent, hit.revision, hit.command)
        if commit is None or (commit.agent, commit.revision, commit.command.id) != wanted:
            raise _Wrong
        return commit


class _Wrong(Exception):
    """The index is not to be believed."""
