"""Commits that a pass read anyway, of agents that nobody asked for yet: they may be next.

They are kept as they came, complete from the pass's start to where it is, of as many agents as a
budget allows, and some seconds long. What is folded of them is compared with the leader's last
commit as all else is, and where they don't fit the journal is read.
"""

from collections.abc import Callable
from typing import Final
from zlib import crc32

from moonlet.agents.recovery.tail import Tail
from moonlet.core.marks import reached
from moonlet.streams import StoredMessage

KEPT_BYTES: Final = 160 * 1_048_576
"""Bytes that are kept in memory, of all passes of a host together."""

KEPT_SECONDS: Final = 5.0
"""Seconds after their last use for which they are kept."""

OVERHEAD: Final = 320
"""Bytes that a message takes in memory beside its data, headers included."""

ALL: Final = 1 << 32


class KeptTails:
    """What one pass keeps: of agents of `stream` and `agent_type`, if given, from `start` on.

    An agent is kept if its hash is in the share that the budget of `most` bytes allows, so what is
    kept of an agent is complete; `expected` bytes are those of all messages to come.
    """

    def __init__(
        self,
        stream: str,
        agent_type: str,
        start: int,
        *,
        number: int,
        most: int,
        expected: int,
        connection: int,
    ) -> None:
        self.stream = stream
        self.agent_type = agent_type
        self.start = start
        self.position = start - 1
        self.connection = connection
        self.used = 0.0
        self.bytes = 0
        self._number = number
        self._most = most
        self._share = min(ALL, ALL * most // max(1, expected)) if most > 0 else 0
        self._messages: dict[str, list[StoredMessage]] = {}

    def admit(self, subject: str, is_cold: Callable[[str], bool]) -> bool:
        """Keep this agent, of which the first message since `start` comes by; whether it is so."""
        if self._hash(subject) >= self._share or not is_cold(subject):
            return False
        self._messages.setdefault(subject, [])
        return True

    def _hash(self, subject: str) -> int:
        return crc32(subject.encode(), self._number)

    def has(self, subject: str) -> bool:
        """Whether this agent is kept."""
        return subject in self._messages

    def reaches(self, tail: Tail, connection: int) -> bool:
        """Whether what is kept of the agent, if it is, goes on where its tail begins."""
        of_its_kind = tail.stream == self.stream and self.agent_type in ("", tail.agent.type)
        return of_its_kind and tail.start >= self.start and self.connection == connection

    def add(self, message: StoredMessage) -> None:
        """Keep a message, if its agent is kept; of fewer agents, if it is more than may be."""
        kept = self._messages.get(message.subject)
        if kept is None:
            return
        kept.append(message)
        self.bytes += len(message.data) + OVERHEAD
        while self.bytes > self._most and self._share:
            self._shrink()

    def _shrink(self) -> None:
        reached("fewer agents are kept than were begun with")
        self._share -= max(1, self._share // 8)
        for subject in [s for s in self._messages if self._hash(s) >= self._share]:
            self.take(subject)

    def take(self, subject: str) -> list[StoredMessage] | None:
        """An agent's messages from `start` up to `position`, in order; they are kept no longer."""
        kept = self._messages.pop(subject, None)
        if kept is not None:
            self.bytes -= sum(len(message.data) + OVERHEAD for message in kept)
        return kept
