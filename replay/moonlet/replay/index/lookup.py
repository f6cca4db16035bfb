"""Commits by an index, and read from the source one by one: a history of millions is no matter."""

from typing import Any

from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Undecodable
from moonlet.replay.index.index import Hit, Index
from moonlet.replay.sources import HistorySource
from moonlet.streams import decode_plain_commit


class IndexLookup:
    """A `Lookup`. What the index does not know yet is not found."""

    def __init__(self, index: Index, source: HistorySource) -> None:
        self._index = index
        self._source = source

    async def commit(self, agent: str, revision: int) -> Commit[Any] | None:
        """By its place in the index."""
        return await self._read(self._index.commit(agent, revision))

    async def of_command(self, agent: str, id: str) -> Commit[Any] | None:
        """The first with that id."""
        found = self._index.of_command(id, agent)
        return await self._read(found[0]) if found else None

    async def of_correlation(self, correlation: str) -> list[Commit[Any]]:
        """In the order of times; records that make no sense are passed over."""
        found = [await self._read(hit) for hit in self._index.of_correlation(correlation)]
        commits = [commit for commit in found if commit is not None]
        return sorted(commits, key=lambda commit: (commit.time, commit.agent, commit.revision))

    async def _read(self, hit: Hit | None) -> Commit[Any] | None:
        if hit is None:
            return None
        message = await self._source.message(hit.stream, hit.sequence)
        try:
            return decode_plain_commit(hit.stream, message) if message is not None else None
        except (Undecodable, Corrupt):
            return None
