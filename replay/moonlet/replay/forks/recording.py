"""All commits of a system in memory, as forks need them: by time, by agent, by command."""

from contextlib import aclosing
from typing import Any

import msgspec

from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit, Skip
from moonlet.core.errors import Corrupt, Invalid, Undecodable
from moonlet.core.ids import AgentId
from moonlet.core.schema import decode_plain
from moonlet.replay.causes import CausedBy, cause_of
from moonlet.replay.sources import HistorySource
from moonlet.streams import Skips, StoredMessage, decode_commit

COMMITS_MAX = 2_000_000
"""Commits of a system that is forked: they are all in memory."""


class Recorded(msgspec.Struct, frozen=True):
    """A commit, bodies encoded, and what its command came from.

    A repair leaves out its events (`without_events`), or the records before it: then the history
    goes on behind `gap`.
    """

    commit: Commit[msgspec.Raw]
    encoding: Encoding
    stream: str
    cause: CausedBy | None
    without_events: bool = False
    gap: Skip | None = None

    @property
    def name(self) -> tuple[str, str]:
        """Which command of which agent it is."""
        return self.commit.agent, self.commit.command.id

    def plain(self) -> Commit[Any]:
        """The commit, bodies as plain data."""
        return plain_commit(self.commit, self.encoding)


class Recording(msgspec.Struct, frozen=True):
    """The commits of all agents in the order of their times, and each agent's own.

    Those before the place `opens` are as they are: it lies behind the last repair of any agent,
    before which commands were decided on states that nobody has any more.
    """

    description: str
    commits: list[Recorded]
    by_agent: dict[str, list[Recorded]]
    by_command: dict[tuple[str, str], Recorded]
    opens: int = 0

    def at(self, agent: str, revision: int) -> Recorded:
        """The commit of a revision; raises `Invalid` if there is none."""
        for recorded in self.by_agent.get(agent, ()):
            if recorded.commit.revision == revision:
                return recorded
        raise Invalid(f"{agent}@{revision} is no commit of {self.description}")


async def read_record(source: HistorySource) -> Recording:
    """Read all journals; what repairs leave out is left out. Raises as reading does.

    Another commit that can't be read is `Undecodable` or `Corrupt`: from there on nothing is known.
    """
    commits: list[Recorded] = []
    repairs = _Repairs(source)
    for facts in await source.journals():
        batches = source.messages(facts.stream)
        async with aclosing(batches):
            async for batch in batches:
                for message in batch:
                    agent = source.subjects.journal_agent(message.subject)
                    if agent is None:
                        continue
                    try:
                        commit, encoding = decode_commit(facts.stream, message)
                    except (Corrupt, Undecodable):
                        if not await repairs.leave_out(agent, message):
                            raise
                        continue
                    if commit.repair is not None:
                        await repairs.of(agent)
                    commits.append(Recorded(commit, encoding, facts.stream, cause_of(commit)))
                    if len(commits) > COMMITS_MAX:
                        raise Invalid(
                            f"{source.description} has more than {COMMITS_MAX:,} commits: fork a"
                            " bundle of a part of it"
                        )
    commits = repairs.applied(commits)
    # By the times of the agents' clocks a cause is before its effect; in a journal so anyway.
    commits.sort(key=lambda each: (each.commit.time, each.stream, each.commit.sequence))
    by_agent: dict[str, list[Recorded]] = {}
    by_command: dict[tuple[str, str], Recorded] = {}
    for each in commits:
        by_agent.setdefault(each.commit.agent, []).append(each)
        by_command.setdefault(each.name, each)
    for own in by_agent.values():
        own.sort(key=lambda each: each.commit.revision)
    places = (at for at, each in enumerate(commits, 1) if each.commit.repair is not None)
    return Recording(source.description, commits, by_agent, by_command, max(places, default=0))


class _Repairs:
    """What the repairs of a history leave out, asked once for each agent that has any."""

    def __init__(self, source: HistorySource) -> None:
        self._source = source
        self._skips: dict[str, Skips] = {}

    async def of(self, agent: AgentId) -> Skips:
        """By its last repair."""
        if str(agent) not in self._skips:
            self._skips[str(agent)] = await self._source.skips(agent)
        return self._skips[str(agent)]

    async def leave_out(self, agent: AgentId, message: StoredMessage) -> bool:
        """Whether a record that can't be read is left out."""
        skip = (await self.of(agent)).get(message.sequence)
        return skip is not None and skip.what == "record"

    def applied(self, commits: list[Recorded]) -> list[Recorded]:
        """The commits without what is left out; each agent's are in their order."""
        if not self._skips:
            return commits
        made: list[Recorded] = []
        left = {
            agent: sorted(
                (skip for skip in skips.values() if skip.what == "record"),
                key=lambda skip: skip.sequence,
                reverse=True,
            )
            for agent, skips in self._skips.items()
        }
        for each in commits:
            commit, gap = each.commit, None
            skips = self._skips.get(commit.agent)
            if not skips:
                made.append(each)
                continue
            skip = skips.get(commit.sequence)
            if skip is not None and skip.what == "record":
                continue
            waiting = left[commit.agent]
            while waiting and waiting[-1].sequence < commit.sequence:
                gap = waiting.pop()
            made.append(msgspec.structs.replace(each, without_events=skip is not None, gap=gap))
        return made


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
