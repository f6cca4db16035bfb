"""Commits by cause: which commit's effect each command was, up to the command that began it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from moonlet.core import Commit

Commits = Mapping[str, Sequence[Commit[Any]]]
"""Each agent's commits, in order of revision."""

_EFFECT: Final = re.compile(r"([^:/]+/[^:/]+):(\d+)\.(\d+)(?::result)?")


def effect_of(command_id: str) -> tuple[str, int, int] | None:
    """The agent, revision and index of the effect that a command was; None for anyone else's."""
    match = _EFFECT.fullmatch(command_id)
    return (match[1], int(match[2]), int(match[3])) if match else None


class Causes:
    """The commits of one or more agents, by agent and revision."""

    def __init__(self, commits: Commits) -> None:
        self._at = {
            (agent, commit.revision): commit for agent, found in commits.items() for commit in found
        }

    def of(self, commit: Commit[Any]) -> Commit[Any] | None:
        """The commit whose effect this one's command was; None at the beginning of a chain."""
        effect = effect_of(commit.command.id)
        return self._at.get(effect[:2]) if effect else None

    def chain(self, commit: Commit[Any]) -> Iterator[Commit[Any]]:
        """The commit, then its cause, and so on to the first that is known."""
        seen: set[tuple[str, int]] = set()
        found: Commit[Any] | None = commit
        while found is not None and (found.agent, found.revision) not in seen:
            seen.add((found.agent, found.revision))
            yield found
            found = self.of(found)
