"""Finds commits by what others say of them: by agent and revision, by a command's id."""

from collections import OrderedDict
from contextlib import aclosing
from typing import Any, Final, Protocol

from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Invalid, InvalidId, Undecodable
from moonlet.core.ids import AgentId
from moonlet.replay.causes.cause import correlation_of
from moonlet.replay.sources import CommitPages, HistorySource, commits_of
from moonlet.streams import decode_plain_commit

COMMITS_KEPT: Final = 200_000
"""Commits in the histories that a `ScanLookup` keeps; the ones used longest ago go first."""

AGENTS_KEPT: Final = 256
"""Agents of which a `ScanLookup` keeps pages of commits; the ones met first go first."""


class Lookup(Protocol):
    """Commits of a whole system, one at a time. What can't be found is None."""

    async def commit(self, agent: str, revision: int) -> Commit[Any] | None:
        """The commit of a revision."""
        ...

    async def of_command(self, agent: str, id: str) -> Commit[Any] | None:
        """The commit by which an agent dealt with a command."""
        ...

    async def of_correlation(self, correlation: str) -> list[Commit[Any]]:
        """All commits of a conversation, in the order of their times."""
        ...


class ScanLookup:
    """Without an index: commits are read by their revisions, and to find a command's, all of an
    agent's, once.
    """

    def __init__(self, source: HistorySource) -> None:
        self._source = source
        self._read: OrderedDict[str, tuple[list[Commit[Any]], dict[str, Commit[Any]]]] = (
            OrderedDict()
        )
        self._pages: OrderedDict[str, CommitPages] = OrderedDict()

    async def commit(self, agent: str, revision: int) -> Commit[Any] | None:
        """By its place in the history."""
        try:
            pages = self._pages.get(agent)
            if pages is None:
                pages = await CommitPages.open(self._source, AgentId.parse(agent))
                self._pages[agent] = pages
                while len(self._pages) > AGENTS_KEPT:
                    self._pages.popitem(last=False)
            return await pages.commit(revision)
        except (Undecodable, Corrupt, Invalid):
            return None

    async def of_command(self, agent: str, id: str) -> Commit[Any] | None:
        """The first with that id."""
        return (await self._history(agent))[1].get(id)

    async def of_correlation(self, correlation: str) -> list[Commit[Any]]:
        """Reads all journals; records that make no sense are passed over."""
        found: list[Commit[Any]] = []
        for facts in await self._source.journals():
            batches = self._source.messages(facts.stream)
            async with aclosing(batches):
                async for batch in batches:
                    for message in batch:
                        try:
                            commit = decode_plain_commit(facts.stream, message)
                        except (Undecodable, Corrupt):
                            continue
                        if correlation_of(commit) == correlation:
                            found.append(commit)
        return sorted(found, key=lambda commit: (commit.time, commit.agent, commit.revision))

    async def _history(self, agent: str) -> tuple[list[Commit[Any]], dict[str, Commit[Any]]]:
        known = self._read.get(agent)
        if known is not None:
            self._read.move_to_end(agent)
            return known
        commits: list[Commit[Any]] = []
        try:
            async for commit in commits_of(self._source, AgentId.parse(agent)):
                commits.append(commit)
        except (Undecodable, Corrupt, InvalidId):
            pass  # what stands before it is of use
        by_id: dict[str, Commit[Any]] = {}
        for commit in commits:
            by_id.setdefault(commit.command.id, commit)
        self._read[agent] = commits, by_id
        while len(self._read) > 1 and sum(len(c) for c, _ in self._read.values()) > COMMITS_KEPT:
            self._read.popitem(last=False)
        return self._read[agent]
