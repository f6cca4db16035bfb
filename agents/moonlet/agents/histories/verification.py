"""Checking what is stored: is each history whole, and would the code decide it again as it did?

Messages of journals go in, in order; faults come out, the first of each agent. Nothing but the set
of all commands grows with a history, and that stands on disk.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from moonlet.agents.deciding import Difference, decide_again, fold_state
from moonlet.agents.definition import AgentType
from moonlet.agents.histories.seen import SeenSet
from moonlet.core.commit import Commit, Skip
from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.errors import Corrupt, MoonletError, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.memory import NOTHING_KEPT, sent_by_agent
from moonlet.streams import Skips, Snapshot, StoredMessage, decode_commit

Kind = Literal["foreign", "corrupt", "undecodable", "chain", "twice", "decision", "snapshot"]


class HistoryFault(msgspec.Struct, frozen=True):
    """The first thing wrong with an agent. `event` names the event at fault, if it is one.

    foreign: no agent's subject. corrupt, undecodable: the stored bytes. chain: revisions or
    digests don't follow on each other. twice: a command was committed before. decision: today's
    code decides otherwise. snapshot: it tells of another history.
    """

    agent: str
    revision: int
    sequence: int
    kind: Kind
    message: str
    event: str = ""


class Verifier:
    """Checks one agent's commits, from the first on; after a fault only counts them.

    Without `agent_type` the chain alone is checked. `snapshot` is the agent's, if it is to be
    compared; the caller has seen to it that it is of this journal.
    """

    def __init__(
        self,
        agent: AgentId,
        stream: str,
        agent_type: AgentType[Any] | None,
        snapshot: Snapshot | None = None,
        seen: SeenSet | None = None,
        skips: Skips | None = None,
        *,
        decides: bool = True,
    ) -> None:
        self.agent = agent
        self._decides = decides
        self._otherwise: set[int] = set()  # events left out that were not so when it was decided
        self.skips: Skips = skips or {}
        self.commits = 0
        self.decided = 0
        self.mended = 0
        self.changed = 0
        self.fault: HistoryFault | None = None
        self._stream = stream
        self._type = agent_type
        self._snapshot = snapshot
        self._seen = seen if seen is not None else SeenSet()
        self._fold: Fold[Any] = Fold(agent_type.behavior.initial() if agent_type else None)
        self._fold.past = NOTHING_KEPT  # what leaves its memory is in the set of all

    @property
    def revision(self) -> int:
        """The revision up to which all is well."""
        return self._fold.revision

    def take(self, message: StoredMessage) -> HistoryFault | None:
        """Check the next stored commit; returns the fault if this is where the first one is."""
        self.commits += 1
        if self.fault is None:
            self.fault = self._check(message)
            return self.fault
        return None

    def finish(self) -> HistoryFault | None:
        """After the last commit: whether a snapshot knows of more."""
        snapshot = self._snapshot
        if self.fault is None and snapshot is not None and snapshot.revision > self.revision:
            self.fault = self._fault(
                "snapshot",
                self.revision + 1,
                snapshot.sequence,
                f"its snapshot was taken at revision {snapshot.revision}, but the journal ends at"
                f" {self.revision}: commits are gone; restore the journal from a backup",
            )
            return self.fault
        return None

    def _check(self, message: StoredMessage) -> HistoryFault | None:
        next_revision, sequence = self.revision + 1, message.sequence
        skip = self.skips.get(sequence)
        if skip is not None and skip.what == "record":
            self._fold.skip(skip)
            return None
        if DIGEST_HEADER not in (message.headers or {}):
            what = f"no digest ({DIGEST_HEADER}) stands beside it: Moonlet did not write it"
            return self._fault("corrupt", next_revision, sequence, what)
        try:
            commit, encoding = decode_commit(self._stream, message)
        except (Corrupt, Undecodable) as error:
            kind: Kind = "corrupt" if isinstance(error, Corrupt) else "undecodable"
            return self._fault(kind, next_revision, sequence, str(error))
        fault = self._in_chain(commit)
        if fault is not None:
            return fault
        state = None
        self._note_repair(commit, skip)
        if skip is not None:
            state = self._fold.state
        elif self._type is not None:
            if self._decides and not self._otherwise:
                again = decide_again(self._type, self._fold.state, commit, encoding)
                self.decided += again.decided
                self.mended += again.mended
                if again.difference is not None:
                    if not self._is_deploy(commit):
                        return self._difference(commit, again.difference)
                    self.changed += 1  # by a deploy: the record's chain tells what was decided then
            try:
                state = fold_state(self._type, self._stream, self._fold.state, commit, encoding)
            except MoonletError as error:
                event = error.type if isinstance(error, Undecodable) else ""
                return self._fault(
                    "undecodable", commit.revision, sequence, str(error), event=event
                )
        self._fold.advance(commit, state)
        return self._against_snapshot(commit)

    def _note_repair(self, commit: Commit[Any], skip: Skip | None) -> None:
        """Between a commit whose events are left out and its repair, another state decided."""
        if skip is not None:
            self._otherwise.add(commit.sequence)
        elif commit.repair is not None:
            self._otherwise.difference_update(skip.sequence for skip in commit.repair.skips)

    def _in_chain(self, commit: Commit[Any]) -> HistoryFault | None:
        """Whether the commit is this agent's next, and its command a new one."""
        fold = self._fold
        revision, sequence = commit.revision, commit.sequence
        if commit.agent != str(self.agent):
            what = f"the commit says that it is {commit.agent}'s"
            return self._fault("chain", fold.revision + 1, sequence, what)
        if revision != fold.revision + 1:
            what = f"revision {revision} follows revision {fold.revision}"
            return self._fault("chain", fold.revision + 1, sequence, what)
        if commit.previous_digest != fold.digest:
            what = (
                f"it follows a commit with the digest {commit.previous_digest or 'of none'}, but"
                f" revision {fold.revision} has {fold.digest or 'none'}: one of them was changed"
            )
            return self._fault("chain", revision, sequence, what)
        if self._is_second(commit):
            what = f"the command {commit.command.id} was dealt with by an earlier commit"
            return self._fault("twice", revision, sequence, what)
        return None

    def _is_second(self, commit: Commit[Any]) -> bool:
        """Whether an earlier commit dealt with the command, as a host judges it."""
        command, fold = commit.command, self._fold
        if command.timer:
            timer = fold.timers.get(command.timer)
            return timer is None or timer.revision != command.number
        if command.call:
            return command.call not in fold.calls
        agent = str(self.agent)
        if command.number and command.sender and not command.by_id:
            by_agent = sent_by_agent(command.sender)
            if by_agent and fold.windows.has(command.sender, command.lane, command.number):
                return True  # or it came after a later one, which an agent's never may
            return not self._seen.add(agent, command.sender, command.lane, str(command.number))
        return not self._seen.add(agent, command.id)

    def _is_deploy(self, commit: Commit[Any]) -> bool:
        """Whether another version of the application decided it than today's, as far as is told."""
        today = self._type.version if self._type is not None else ""
        return bool(commit.app_version and today) and commit.app_version != today

    def _difference(self, commit: Commit[Any], difference: Difference) -> HistoryFault:
        name = commit.command.name
        version = f", recorded by version {commit.app_version}" if commit.app_version else ""
        handler = self._type.behavior.commands.get(name) if self._type is not None else None
        by = f"; its handler is {handler.function.__name__}" if handler is not None else ""
        return self._fault(
            "decision",
            commit.revision,
            commit.sequence,
            f"{name} is decided otherwise now: {difference.message}{version}{by}",
            event=difference.event,
        )

    def _against_snapshot(self, commit: Commit[Any]) -> HistoryFault | None:
        """At the snapshot's revision: whether it is of this commit, with this state."""
        snapshot, fold = self._snapshot, self._fold
        if snapshot is None or snapshot.revision != commit.revision:
            return None
        if snapshot.digest != commit.digest or snapshot.sequence != commit.sequence:
            what = "its snapshot names another commit of this revision"
        elif self._type is None or snapshot.code != self._type.state_code():
            return None
        else:
            unlike = self._type.states.unlike(fold.state, snapshot.state)
            if unlike is None:
                return None
            what = (
                "its snapshot holds another state than these commits add up to: at"
                f" {unlike.path} they make {unlike.was}, and it holds {unlike.comes_back}"
            )
        return self._fault("snapshot", commit.revision, commit.sequence, what)

    def _fault(
        self, kind: Kind, revision: int, sequence: int, message: str, *, event: str = ""
    ) -> HistoryFault:
        return HistoryFault(str(self.agent), revision, sequence, kind, message, event)


class Verification:
    """Checks whole journals: any number of agents, their commits as the streams have them.

    Without `decides` no command is decided again: whether agents can be read, and no more.
    """

    def __init__(self, types: Mapping[str, AgentType[Any]], *, decides: bool = True) -> None:
        self._types = types
        self._seen = SeenSet()
        self._decides = decides
        self.agents: dict[AgentId, Verifier] = {}
        self.foreign = 0

    def knows(self, agent: AgentId) -> bool:
        """Whether the agent was seen before."""
        return agent in self.agents

    def meet(
        self,
        agent: AgentId,
        stream: str,
        snapshot: Snapshot | None = None,
        skips: Skips | None = None,
    ) -> None:
        """Begin with an agent, before its first commit; `skips` are what its repairs leave out."""
        agent_type = self._types.get(agent.type)
        self.agents[agent] = Verifier(
            agent, stream, agent_type, snapshot, self._seen, skips, decides=self._decides
        )

    def take(self, agent: AgentId | None, message: StoredMessage) -> HistoryFault | None:
        """Check one message of a journal; `agent` is None for a subject that is no agent's."""
        if agent is None:
            self.foreign += 1
            return HistoryFault(
                "",
                0,
                message.sequence,
                "foreign",
                f"{message.subject} is no agent's subject: somebody else wrote it",
            )
        return self.agents[agent].take(message)

    def finish(self) -> list[HistoryFault]:
        """The faults that only the end shows."""
        found = (verifier.finish() for verifier in self.agents.values())
        return [fault for fault in found if fault is not None]

    @property
    def commits(self) -> int:
        """Commits seen, of all agents."""
        return sum(verifier.commits for verifier in self.agents.values())

    @property
    def decided(self) -> int:
        """Commands decided again with the same result."""
        return sum(verifier.decided for verifier in self.agents.values())

    @property
    def mended(self) -> int:
        """Commands that failed when they were recorded, and would not today."""
        return sum(verifier.mended for verifier in self.agents.values())

    @property
    def changed(self) -> int:
        """Commands that another version of the application decided otherwise than today's would."""
        return sum(verifier.changed for verifier in self.agents.values())

    @property
    def repaired(self) -> list[str]:
        """Agents of whose histories a repair leaves something out."""
        return sorted(str(agent) for agent, verifier in self.agents.items() if verifier.skips)

    @property
    def codeless(self) -> list[str]:
        """Agent types whose code is not known here: of theirs the chain alone was checked."""
        return sorted({agent.type for agent in self.agents} - set(self._types))
