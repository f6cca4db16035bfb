"""Commits that are decided and not known to be stored: one, and an agent's chain of them."""

from typing import Any

from moonlet.agents.deciding.queued_command import QueuedCommand
from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.fold import Fold
from moonlet.core.windows import sent_by_agent
from moonlet.streams import encode_commit


class PendingCommit:
    """A commit that is ready to be appended, and what to do when it is.

    `record` is the message to append: payload and headers. `oversized`: it is over `limit` bytes,
    and has to be stored before the commit names it. `has_effects`: something of it is to be
    dispatched; a parked command goes to `parked`.
    """

    __slots__ = (
        "body",
        "commit",
        "digest",
        "encoding",
        "envelope",
        "has_effects",
        "oversized",
        "queued",
        "record",
        "stack",
        "state",
    )

    def __init__(
        self,
        queued: QueuedCommand,
        envelope: Envelope,
        commit: Commit[Any],
        state: Any,
        stack: str,
        body: str,
        limit: int,
    ) -> None:
        self.queued = queued
        self.envelope = envelope
        self.encoding: Encoding = queued.encoding
        self.commit = commit
        self.state = state
        self.stack = stack
        self.body = body
        self.record, self.digest = encode_commit(commit, queued.encoding)
        self.oversized = len(self.record[0]) > limit
        self.has_effects = bool(commit.effects) or commit.outcome == "parked"


class CommitChain:
    """Commits of one agent that are decided and not known to be stored.

    The first `flying` of them are being appended, all or none; those `ahead` are decided on them,
    and wait until they have landed. `state` and the rest of its head are after all of them.
    """

    __slots__ = (
        "_highest",
        "_looked",
        "_numbers",
        "bytes",
        "commits",
        "digest",
        "flying",
        "revision",
        "state",
        "time",
        "with_effects",
    )

    def __init__(self, fold: Fold[Any]) -> None:
        self.commits: list[PendingCommit] = []
        self.flying = 0
        self.revision = fold.revision
        self.digest = fold.digest
        self.time = fold.time
        self.state = fold.state
        self.bytes = 0
        self.with_effects = 0
        self._looked = 0
        self._numbers: set[tuple[str, str, int]] | None = None
        self._highest: dict[tuple[str, str], int] | None = None

    def add(self, pending: PendingCommit) -> None:
        """The next commit; the one after it is decided on its state."""
        self.commits.append(pending)
        commit = pending.commit
        self.revision = commit.revision
        self.digest = pending.digest
        self.time = commit.time
        self.state = pending.state
        self.bytes += len(pending.record[0])
        if pending.has_effects:
            self.with_effects += 1

    def fly(self) -> list[PendingCommit]:
        """All of them are being appended from now on."""
        assert not self.flying
        self.flying = len(self.commits)
        self.bytes = 0
        return self.commits[:]

    def land(self) -> list[PendingCommit]:
        """Those in flight are stored: they leave the chain."""
        if self.flying < len(self.commits):
            return self._cut(0, self.flying)
        landed, self.commits = self.commits, []
        self.flying = self.with_effects = self._looked = 0
        self._numbers = self._highest = None
        return landed

    def drop_ahead(self) -> list[PendingCommit]:
        """What is not in flight leaves the chain, as if it had not been decided."""
        dropped = self._cut(self.flying, len(self.commits))
        self.bytes = 0
        if self.commits:
            last = self.commits[-1]
            self.revision = last.commit.revision
            self.digest = last.digest
            self.time = last.commit.time
            self.state = last.state
        return dropped

    def _cut(self, start: int, stop: int) -> list[PendingCommit]:
        cut = self.commits[start:stop]
        del self.commits[start:stop]
        if start == 0:
            self.flying = 0
        self.with_effects -= sum(pending.has_effects for pending in cut)
        self._forget_numbers()
        return cut

    def _forget_numbers(self) -> None:
        self._looked = 0
        self._numbers = self._highest = None

    def holds(self, sender: str, lane: str, number: int) -> bool:
        """Whether one of its commits is of this number, or of a later one of an agent."""
        numbers, highest = self._numbers, self._highest
        if numbers is None or highest is None:
            numbers, highest = self._numbers, self._highest = set(), {}
        for pending in self.commits[self._looked :]:
            envelope = pending.envelope
            heard = envelope.sender, envelope.lane
            numbers.add((*heard, envelope.number))
            highest[heard] = max(envelope.number, highest.get(heard, 0))
        self._looked = len(self.commits)
        if sent_by_agent(sender):
            return number <= highest.get((sender, lane), 0)
        return (sender, lane, number) in numbers
