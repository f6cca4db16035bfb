"""All commits of a system in memory, as forks need them: by time, by agent, by command."""

from contextlib import aclosing
from typing import Any

import msgspec

from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.core.schema import decode_plain
from moonlet.replay.causes import CausedBy, cause_of
from moonlet.replay.sources import HistorySource
from moonlet.streams import decode_commit

COMMITS_MAX = 2_000_000
"""Commits of a system that is forked: they are all in memory."""


class Recorded(msgspec.Struct, frozen=True):
    """A commit, bodies encoded, and what its command came from."""

    commit: Commit[msgspec.Raw]
    encoding: Encoding
    stream: str
    cause: CausedBy | None

    @property
    def name(self) -> tuple[str, str]:
        """Which command of which agent it is."""
        return self.commit.agent, self.commit.command.id

    def plain(self) -> Commit[Any]:
        """The commit, bodies as plain data."""
        return plain_commit(self.commit, self.encoding)


class Recording(msgspec.Struct, frozen=True):
    """The commits of all agents in the order of their times, and each agent's own."""

    description: str
    commits: list[Recorded]
    by_agent: dict[str, list[Recorded]]
    by_command: dict[tuple[str, str], Recorded]

    def at(self, agent: str, revision: int) -> Recorded:
        """The commit of a revision; raises `Invalid` if there is none."""
        for recorded in self.by_agent.get(agent, ()):
            if recorded.commit.revision == revision:
                return recorded
        raise Invalid(f"{agent}@{revision} is no commit of {self.description}")


async def read_record(source: HistorySource) -> Recording:
    """Read all journals. Raises as reading does, and for repaired histories, which are not forked.

    A commit that can't be read is `Undecodable` or `Corrupt`: from there on nothing is known.
    """
    commits: list[Recorded] = []
    for facts in await source.journals():
        batches = source.messages(facts.stream)
        async with aclosing(batches):
            async for batch in batches:
                for message in batch:
                    if source.subjects.journal_agent(message.subject) is None:
                        continue
                    commit, encoding = decode_commit(facts.stream, message)
                    if commit.repair is not None or commit.repaired:
                        raise Invalid(f"{commit.agent} was repaired: its history can't be forked")
                    commits.append(Recorded(commit, encoding, facts.stream, cause_of(commit)))
                    if len(commits) > COMMITS_MAX:
                        raise Invalid(
                            f"{source.description} has more than {COMMITS_MAX:,} commits: fork a"
                            " bundle of a part of it"
                        )
    # By the times of the agents' clocks a cause is before its effect; in a journal so anyway.
    commits.sort(key=lambda each: (each.commit.time, each.stream, each.commit.sequence))
    by_agent: dict[str, list[Recorded]] = {}
    by_command: dict[tuple[str, str], Recorded] = {}
    for each in commits:
        by_agent.setdefault(each.commit.agent, []).append(each)
        by_command.setdefault(each.name, each)
    for own in by_agent.values():
        own.sort(key=lambda each: each.commit.revision)
    return Recording(source.description, commits, by_agent, by_command)


def agent_type_of(agent: str) -> str:
    """The type in an agent's id."""
    return AgentId.parse(agent).type


def plain_commit(commit: Commit[Any], encoding: Encoding) -> Commit[Any]:
    """A commit with bodies as plain data."""

    def message(each: Any) -> Any:
        return msgspec.structs.replace(each, body=decode_plain(each.body, encoding))

    return msgspec.structs.replace(
        commit,
        command=message(commit.command),
        events=tuple(message(event) for event in commit.events),
        effects=tuple(
            msgspec.structs.replace(
                effect, message=message(effect.message) if effect.message is not None else None
            )
            for effect in commit.effects
        ),
        reply=decode_plain(commit.reply, encoding)
        if isinstance(commit.reply, msgspec.Raw)
        else commit.reply,
    )
