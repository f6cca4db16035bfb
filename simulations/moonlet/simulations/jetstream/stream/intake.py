"""How a stream takes what is published to it: judge, replicate, store, answer."""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.stream.batches import Batches, Member
from moonlet.simulations.jetstream.stream.publishing import (
    Ack,
    Duplicate,
    check_last_id,
    check_size,
    judge_single,
    judge_staged,
)
from moonlet.simulations.jetstream.stream.staging import Staged
from moonlet.simulations.jetstream.stream.state import StreamState
from moonlet.streams.api import Headers, ServerRefused

_encode: Final = msgspec.json.Encoder().encode

Insert = Callable[[int, str, Headers | None, bytes], int]
"""(now, subject, headers, data)"""

Skip = Callable[[int, str, Headers | None], int]
"""(now, subject, headers)"""


class _Proposal(msgspec.Struct):
    """What a cluster's leader accepted; it is stored once the others have it."""

    at: int
    members: list[Member]
    staged: Staged
    reply: str
    batch: str


class Intake:
    """Takes publishes one after another. On R3 storing takes the model's commit latency.

    `insert` stores a message that was judged, `skip` uses up a sequence; both return it.
    """

    def __init__(self, stream: StreamState, insert: Insert, skip: Skip) -> None:
        self._stream = stream
        self._insert = insert
        self._skip = skip
        self._batches = Batches(stream)
        self._proposals: deque[_Proposal] = deque()
        self._alarm = stream.context.alarms.new(self._commit_until)

    def publish(
        self, now: int, subject: str, reply: str, headers: Headers | None, data: bytes
    ) -> None:
        """Take one message; the answer goes to `reply`, if there is one."""
        if reply.endswith(".$FI"):
            raise NotSimulated("fast batches")
        try:
            self._take(now, subject, reply, headers or {}, data)
        except ServerRefused as error:
            self._answer_refusal(reply, error)
        except Duplicate as known:
            ack = Ack(self._stream.config.name, known.sequence, duplicate=True)
            self._answer(reply, _encode(ack))

    def _take(self, now: int, subject: str, reply: str, headers: Headers, data: bytes) -> None:
        stream = self._stream
        if fields.BATCH_ID in headers:
            members = self._batches.add(now, subject, headers, data)
            if members is None:
                self._answer(reply, b"")
                return
            staged, members = self._judge_batch(now, members)
            self._propose(now, members, staged, reply, headers[fields.BATCH_ID])
        elif stream.replicated:
            check_size(stream, headers, data)
            staged = Staged()
            try:
                headers = judge_staged(stream, now, staged, subject, headers, data)
            except Duplicate as known:
                if not known.sequence:
                    raise refused(10158) from None
                raise
            self._propose(now, [(subject, headers, data)], staged, reply, "")
        else:
            headers = judge_single(stream, now, subject, headers, data)
            sequence = self.store(now, subject, headers, data)
            if reply:
                self._answer(reply, _encode(Ack(stream.config.name, sequence)))

    def _judge_batch(self, now: int, members: list[Member]) -> tuple[Staged, list[Member]]:
        staged, judged = Staged(), []
        for subject, headers, data in members:
            if headers.get(fields.EXPECTED_ID):
                raise refused(10177, header=fields.EXPECTED_ID)
            try:
                headers = judge_staged(self._stream, now, staged, subject, headers, data)
            except Duplicate as known:
                raise refused(10201 if known.sequence else 10158) from None
            judged.append((subject, headers, data))
        return staged, judged

    def _propose(
        self, now: int, members: list[Member], staged: Staged, reply: str, batch: str
    ) -> None:
        stream = self._stream
        latency = stream.context.commit_latency if stream.replicated else 0
        proposal = _Proposal(now + latency, members, staged, reply, batch)
        if not latency:
            self._commit(now, proposal)
            return
        stream.in_flight.add(staged)
        for id in staged.ids:
            stream.duplicates.add(id, 0, now)
        self._proposals.append(proposal)
        if self._alarm.at is None:
            self._alarm.set(proposal.at)

    def _commit_until(self, now: int) -> None:
        while self._proposals and self._proposals[0].at <= now:
            proposal = self._proposals.popleft()
            self._stream.in_flight.remove(proposal.staged)
            self._commit(now, proposal)
        if self._proposals:
            self._alarm.set(self._proposals[0].at)

    def _commit(self, now: int, proposal: _Proposal) -> None:
        name = self._stream.config.name
        sequence = 0
        try:
            for subject, headers, data in proposal.members:
                check_last_id(self._stream, headers)
                sequence = self.store(now, subject, headers, data)
        except ServerRefused as error:
            for id in proposal.staged.ids:
                self._stream.duplicates.forget(id)
            self._answer_refusal(proposal.reply, error)
            return
        count = len(proposal.members) if proposal.batch else 0
        ack = Ack(name, sequence, batch=proposal.batch, count=count)
        self._answer(proposal.reply, _encode(ack))

    def store(self, now: int, subject: str, headers: Headers, data: bytes) -> int:
        """Store what was judged; returns its sequence."""
        stream = self._stream
        if stream.config.retention == "interest" and not stream.interest.matching(subject):
            return self._skip(now, subject, headers)
        return self._insert(now, subject, headers or None, data)

    def _answer(self, reply: str, data: bytes) -> None:
        if reply and not self._stream.config.no_ack:
            self._stream.context.send(reply, reply, "", None, data)

    def _answer_refusal(self, reply: str, error: ServerRefused) -> None:
        self._answer(
            reply,
            _encode({"error": error_json(error), "stream": self._stream.config.name, "seq": 0}),
        )

    def restart(self) -> None:
        """Open batches are forgotten, and what wasn't replicated is lost, its ids too."""
        self._batches.clear()
        for proposal in self._proposals:
            self._stream.in_flight.remove(proposal.staged)
            for id in proposal.staged.ids:
                self._stream.duplicates.forget(id)
        self._proposals.clear()
        self._alarm.stop()


def error_json(error: ServerRefused) -> dict[str, object]:
    """The `error` object of an answer."""
    return {
        "code": error.code,
        "err_code": error.err_code,
        "description": error.description,
    }
