"""The journal: an agent's commits, appended by compare-and-set and read in order."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import msgspec

from moonlet.core.codec import (
    ENCODING_HEADER,
    Codec,
    Encoding,
    check_plain,
    unpack,
)
from moonlet.core.commit import Commit, place
from moonlet.core.digest import DIGEST_HEADER, record_digest
from moonlet.core.errors import Corrupt, InvalidMessage, PayloadTooLarge, Undecodable
from moonlet.core.ids import AgentId
from moonlet.streams.api import ServerRefused, Sieve, StoredMessage, StreamGone
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_missing
from moonlet.streams.reading import (
    HistoryReader,
    count_up_to,
    read_messages,
    stream_facts,
    with_record,
)

_RAW: Final = {
    encoding: Codec[Commit[msgspec.Raw]](Commit[msgspec.Raw], encoding)
    for encoding in ("json", "msgpack")
}
_PLAIN: Final = {
    encoding: Codec[Commit[Any]](Commit[Any], encoding) for encoding in ("json", "msgpack")
}


def decode_commit(stream: str, message: StoredMessage) -> tuple[Commit[msgspec.Raw], Encoding]:
    """The commit of a stored message, bodies still encoded; raises `Undecodable`, `Corrupt`."""
    data, encoding, digest = _open(stream, message)
    try:
        commit = _RAW[encoding].decode(data)
    except InvalidMessage as error:
        raise _undecodable(stream, message, error) from None
    return place(commit, message.sequence, digest, message.time // 1_000), encoding


def decode_plain_commit(stream: str, message: StoredMessage) -> Commit[Any]:
    """The commit of a stored message with bodies as plain data; raises as `decode_commit`."""
    data, encoding, digest = _open(stream, message)
    try:
        commit = _PLAIN[encoding].decode(data)
        if encoding == "msgpack":
            check_plain(commit.command.body)
    except InvalidMessage as error:
        raise _undecodable(stream, message, error) from None
    return place(commit, message.sequence, digest, message.time // 1_000)


def _open(stream: str, message: StoredMessage) -> tuple[bytes, Encoding, str]:
    headers = message.headers or {}
    try:
        data, encoding = unpack(message.data, headers.get(ENCODING_HEADER))
    except (InvalidMessage, PayloadTooLarge) as error:
        raise _undecodable(stream, message, error) from None
    digest = record_digest(data)
    told = headers.get(DIGEST_HEADER)
    if told is not None and told != digest:
        raise Corrupt(
            f"{stream}: the message at sequence {message.sequence} has the digest {digest}, but"
            f" {told} was written beside it: its bytes changed; restore the stream from a backup",
            stream=stream,
            sequence=message.sequence,
        )
    return data, encoding, digest


def _undecodable(stream: str, message: StoredMessage, error: Exception) -> Undecodable:
    field = getattr(error, "path", "$")
    return Undecodable(
        f"{stream}: the message at sequence {message.sequence} on {message.subject} is no commit:"
        f" {error}; see who wrote it with `moonlet doctor`, have it left out with `moonlet repair`",
        stream=stream,
        sequence=message.sequence,
        type="Commit",
        field=field,
    )


class Journal:
    """One journal stream, for reading. Writing is `GroupCommit`'s."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self._bus = bus
        self.stream = stream

    async def last(self, agent: AgentId) -> StoredMessage | None:
        """The agent's last commit, read from the leader; None if it has none.

        Raises `StreamGone` if there is no such journal.
        """
        subject = self._bus.subjects.journal(agent)
        try:
            message = await self._bus._js.last_message(self.stream, subject)
        except ServerRefused as error:
            if not is_missing(error):
                raise
            raise StreamGone(f"the journal {self.stream} is gone", stream=self.stream) from None
        return await self._whole(message)

    async def message(self, sequence: int) -> StoredMessage | None:
        """The commit stored at `sequence`, read from the leader; None if there is none."""
        return await self._whole(await self._bus._js.message(self.stream, sequence))

    async def next(self, agent: AgentId, *, start: int) -> StoredMessage | None:
        """The agent's first commit from sequence `start` on, read from the leader, or None."""
        subject = self._bus.subjects.journal(agent)
        return await self._whole(
            await self._bus._js.next_message(self.stream, subject, start=start)
        )

    async def glimpse(self, sequence: int) -> StoredMessage | None:
        """What stands at `sequence`, as any replica has it: None if it has nothing there yet.

        A record that stands apart is not brought in: `with_record`.
        """
        return await self._bus._js.replica_message(self.stream, sequence)

    async def count(self, agent: AgentId, *, at_least: int) -> int:
        """How many messages the agent's subject has, as of sequence `at_least` or later."""
        subject = self._bus.subjects.journal(agent)
        return (await count_up_to(self._bus, self.stream, subject, at_least))[0]

    async def _whole(self, message: StoredMessage | None) -> StoredMessage | None:
        return None if message is None else await with_record(self._bus, self.stream, message)

    async def messages(
        self,
        agent: AgentId,
        *,
        start: int = 1,
        end: int | None = None,
        wide: bool = False,
    ) -> AsyncGenerator[list[StoredMessage], None]:
        """The agent's commits from sequence `start` on, to `end` or the end as of now, in batches.

        `wide` if much of other agents stands between them: see `read_messages`.
        """
        subject = self._bus.subjects.journal(agent)
        messages = read_messages(self._bus, self.stream, subject, start=start, end=end, wide=wide)
        async with aclosing(messages) as read:
            async for batch in read:
                yield batch

    def sift(self, agent_type: str, sieve: Sieve, *, start: int) -> HistoryReader:
        """A reader of the commits of a type's agents from sequence `start` on, through a sieve.

        Of all types if that is empty. Records that stand apart are not brought in: `with_record`.
        """
        filters = [self._bus.subjects.journals(agent_type)] if agent_type else []
        return HistoryReader(self._bus, self.stream, filters, start=start, name="pass", sieve=sieve)

    async def incarnation(self) -> str:
        """What tells this stream from another of its name: creation time, and epoch if raised."""
        facts = await stream_facts(self._bus, self.stream)
        if facts is None:
            raise Corrupt(
                f"stream {self.stream} is gone: restore it from a backup, or start anew under"
                " another prefix",
                stream=self.stream,
            )
        return facts.incarnation
