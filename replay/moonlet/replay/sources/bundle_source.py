"""The journals of a bundle: a file that was taken of a server, all of it in memory."""

from bisect import bisect_left
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import msgspec

from moonlet.core.codec import MAX_PLAIN
from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.errors import Corrupt, Undecodable
from moonlet.core.ids import AgentId
from moonlet.replay.sources.source import JournalFacts
from moonlet.streams import (
    Skips,
    StoredMessage,
    Subjects,
    Topology,
    decode_plain_commit,
    stands_apart,
)
from moonlet.streams.reading import BLOB_HEADER

if TYPE_CHECKING:  # whoever has a bundle has imported it; it takes 100 ms
    from moonlet.simulations.bundle import Bundle

BATCH: Final = 1_000
"""Messages given at a time."""


class BundleSource:
    """Reads a bundle that was read and checked; `description` is the file's name."""

    def __init__(self, bundle: "Bundle", description: str) -> None:
        self._bundle = bundle
        self._description = description
        self._subjects = Subjects(bundle.topology.prefix)
        self._streams = {held.name: held for held in bundle.streams}
        self._by_subject: dict[str, dict[str, list[StoredMessage]]] = {}
        self._chunks: dict[str, bytes] | None = None

    @property
    def description(self) -> str:
        """The file."""
        return self._description

    @property
    def topology(self) -> Topology:
        """The server's, as of when it was taken."""
        return self._bundle.topology

    @property
    def subjects(self) -> Subjects:
        """The map under the server's prefix."""
        return self._subjects

    def now_us(self) -> int:
        """When the bundle was taken."""
        return self._bundle.taken // 1_000

    async def journals(self) -> list[JournalFacts]:
        """Those of the topology; a bundle has all of them."""
        found: list[JournalFacts] = []
        for stream in sorted(self.topology.journal_streams):
            held = self._streams.get(stream)
            if held is not None:
                epoch = (held.config.get("metadata") or {}).get("moonlet.epoch", "0")
                incarnation = f"{held.created}/{epoch}"
                found.append(JournalFacts(stream, incarnation, held.first, held.last))
        return found

    async def messages(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[list[StoredMessage], None]:
        """Batches of at most 1,000, without waiting for anything."""
        found = self._of(stream, subject)
        at = bisect_left(found, start, key=lambda message: message.sequence)
        for first in range(at, len(found), BATCH):
            batch = found[first : first + BATCH]
            yield [self._whole(stream, message) for message in batch]

    async def message(self, stream: str, sequence: int) -> StoredMessage | None:
        """By a binary search."""
        found = self._of(stream, ">")
        at = bisect_left(found, sequence, key=lambda message: message.sequence)
        if at == len(found) or found[at].sequence != sequence:
            return None
        return self._whole(stream, found[at])

    async def last(self, agent: AgentId) -> StoredMessage | None:
        """The last of its subject."""
        stream = self.topology.journal_of(agent.type)
        found = self._of(stream, self._subjects.journal(agent))
        return self._whole(stream, found[-1]) if found else None

    async def agents(self) -> dict[AgentId, int]:
        """Counted in all journals."""
        found: dict[AgentId, int] = {}
        for stream in self.topology.journal_streams:
            self._of(stream, "")  # sorts them out
            for subject, messages in self._by_subject.get(stream, {}).items():
                agent = self._subjects.journal_agent(subject)
                if agent is not None:
                    found[agent] = len(messages)
        return dict(sorted(found.items()))

    async def skips(self, agent: AgentId) -> Skips:
        """As the agent's last commit says; empty if that makes no sense, as on a server."""
        stream = self.topology.journal_of(agent.type)
        commits = self._of(stream, self._subjects.journal(agent))
        try:
            if not commits:
                return {}
            last = decode_plain_commit(stream, self._whole(stream, commits[-1]))
            repair = last.repair
            if repair is None and last.repaired:
                stored = await self.message(stream, last.repaired)
                repair = decode_plain_commit(stream, stored).repair if stored is not None else None
        except (Corrupt, Undecodable):
            return {}
        return {} if repair is None else {skip.sequence: skip for skip in repair.skips}

    def _of(self, stream: str, subject: str) -> list[StoredMessage]:
        """The messages of a literal subject, of a head and `*`, or all; each list is made once."""
        held = self._streams.get(stream)
        if held is None:
            return []
        if subject == ">":
            return held.messages
        if subject.endswith("*"):
            head = subject[:-1]
            return [message for message in held.messages if message.subject.startswith(head)]
        if stream not in self._by_subject:
            sorted_out: dict[str, list[StoredMessage]] = {}
            for message in held.messages:
                sorted_out.setdefault(message.subject, []).append(message)
            self._by_subject[stream] = sorted_out  # whole: other threads may read too
        return self._by_subject[stream].get(subject, [])

    def _whole(self, stream: str, message: StoredMessage) -> StoredMessage:
        """The message with its record, which may stand apart; raises `Corrupt` if that is gone."""
        if not stands_apart(message):
            return message
        if self._chunks is None:
            outcomes = self._streams.get(self.topology.stream("outcomes"))
            held = outcomes.messages if outcomes is not None else []
            self._chunks = {chunk.subject: chunk.data for chunk in held}
        headers = dict(message.headers or {})
        digest, told = headers.get(DIGEST_HEADER, ""), headers.pop(BLOB_HEADER)
        count = int(told) if told.isdigit() and len(told) < 9 else 0
        names = [self._subjects.blob(digest, n) for n in range(min(count, MAX_PLAIN))]
        if not names or any(name not in self._chunks for name in names):
            raise Corrupt(
                f"{stream}: the outcome of the commit at sequence {message.sequence} is not in"
                f" {self._description}: take the bundle again",
                stream=stream,
                sequence=message.sequence,
            )
        data = b"".join(self._chunks[name] for name in names)
        return msgspec.structs.replace(message, data=data, headers=headers)
