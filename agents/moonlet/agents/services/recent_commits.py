"""The commits that a host decided a short while ago, for senders who ask again."""

from collections import OrderedDict
from typing import Any, Final

from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit

RECENT: Final = 4_096
"""Commits that a host remembers, to answer retries without reading the journal."""


class RecentCommits:
    """The last commits, by agent and command id."""

    __slots__ = ("_commits",)

    def __init__(self) -> None:
        self._commits: OrderedDict[tuple[str, str], tuple[Commit[Any], Encoding]] = OrderedDict()

    def remember(self, commit: Commit[Any], encoding: Encoding) -> None:
        """Keep a commit; the oldest goes."""
        commits = self._commits
        commits[commit.agent, commit.command.id] = commit, encoding
        if len(commits) > RECENT:
            commits.popitem(last=False)

    def recall(self, agent: str, command_id: str) -> tuple[Commit[Any], Encoding] | None:
        """The commit of a command decided here a short while ago, and its encoding."""
        return self._commits.get((agent, command_id))
