"""What histories are read from, whatever it is: the journals, whole and in order, and no more."""

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import msgspec

from moonlet.core.ids import AgentId
from moonlet.streams import Skips, StoredMessage, Subjects, Topology

Progress = Callable[[int, int], None]
"""Called with the commits that were gone through, and those there are."""


class JournalFacts(msgspec.Struct, frozen=True):
    """One journal as of now: `first` and `last` are sequences, `last` the last one ever.

    `incarnation` tells it from another of its name: created (ns since 1970), and the epoch.
    """

    stream: str
    incarnation: str
    first: int
    last: int


class HistorySource(Protocol):
    """A server's journals, or a copy of them. One suite holds for all: tests/contracts."""

    @property
    def description(self) -> str:
        """What it is, in words, for people: an address or a file, without secrets."""
        ...

    @property
    def topology(self) -> Topology:
        """Which journals there are, and which agent type is in which."""
        ...

    @property
    def subjects(self) -> Subjects:
        """The map of subjects, under the source's own prefix."""
        ...

    def now_us(self) -> int:
        """The time that "five minutes ago" counts from, in µs since 1970: of a copy, its own."""
        ...

    async def journals(self) -> list[JournalFacts]:
        """Those that exist, sorted by name. Raises `Unavailable`."""
        ...

    def messages(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[list[StoredMessage], None]:
        """Batches of a journal from sequence `start` to its end as of now, in order of sequences.

        Records that stand apart are brought in. A journal that does not exist is an empty one.
        `subject` is an agent's, a type's, or all (`>`). Raises `Unavailable`, `Corrupt`.
        """
        ...

    async def message(self, stream: str, sequence: int) -> StoredMessage | None:
        """The journal's message at that sequence; None if there is none."""
        ...

    async def last(self, agent: AgentId) -> StoredMessage | None:
        """The agent's last commit, its record brought in; None if it has none."""
        ...

    async def agents(self) -> dict[AgentId, int]:
        """Who has commits, sorted, and how many; foreign subjects are left out."""
        ...

    async def skips(self, agent: AgentId) -> Skips:
        """What the agent's last repair leaves out; empty for almost all."""
        ...
