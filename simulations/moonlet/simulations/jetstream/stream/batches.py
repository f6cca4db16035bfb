"""Atomic batches (ADR-50): members wait until the last one commits all of them, or none."""

from typing import Final

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.clocks import Alarm
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.stream.publishing import check_size
from moonlet.simulations.jetstream.stream.state import StreamState
from moonlet.streams.api import Headers

MAX_MEMBERS: Final = 1000
MAX_OPEN: Final = 50  # batches per stream
TIMEOUT: Final = 10_000_000_000  # ns that a batch waits for its next member

Member = tuple[str, Headers, bytes]
"""Subject, headers, data."""


class _Batch:
    def __init__(self, alarm: Alarm) -> None:
        self.members: list[Member] = []
        self.alarm = alarm


class Batches:
    """The open batches of one stream, by id."""

    def __init__(self, stream: StreamState) -> None:
        self._stream = stream
        self._open: dict[str, _Batch] = {}

    def add(self, now: int, subject: str, headers: Headers, data: bytes) -> list[Member] | None:
        """Take one member; returns all of them if it commits the batch.

        Raises `ServerRefused` for a broken batch, which is then forgotten.
        """
        check_size(self._stream, headers, data)
        if not self._stream.config.allow_atomic:
            raise refused(10174)
        id = headers[fields.BATCH_ID]
        if len(id.encode()) > 64:
            raise refused(10179)
        sequence = fields.number(headers.get(fields.BATCH_SEQUENCE, ""))
        if sequence < 0:
            raise refused(10175)
        commit = headers.get(fields.BATCH_COMMIT)
        marker = commit == "eob"
        config = self._stream.config
        if marker and config.discard == "new" and config.max_bytes > 0:
            # nats-server 2.15.1 forgets the header that it adds and may store half.
            raise NotSimulated("end markers of batches under a limit in bytes")
        size = sequence - 1 if marker else sequence
        batch = self._open.get(id)
        if batch is None:
            if sequence != 1:
                raise refused(10199, size=MAX_MEMBERS) if size > MAX_MEMBERS else refused(10176)
            if len(self._open) >= MAX_OPEN:
                raise refused(10210)
            batch = self._open[id] = _Batch(
                self._stream.context.alarms.new(lambda _: self._forget(id))
            )
        self._check_member(id, batch, sequence, size, headers)
        batch.alarm.set(now + TIMEOUT)
        if not marker:
            batch.members.append((subject, headers, data))
        if commit is None:
            return None
        self._forget(id)
        if marker:
            last, its_headers, its_data = batch.members[-1]
            batch.members[-1] = (last, {**its_headers, fields.BATCH_COMMIT: "1"}, its_data)
        return batch.members

    def _check_member(
        self, id: str, batch: _Batch, sequence: int, size: int, headers: Headers
    ) -> None:
        commit = headers.get(fields.BATCH_COMMIT)
        error = None
        if commit not in (None, "1", "eob"):
            error = refused(10200)
        elif fields.REQUIRED_LEVEL in headers:
            raise NotSimulated(f"the header {fields.REQUIRED_LEVEL}")
        elif sequence != len(batch.members) + 1 or (sequence == 1 and commit == "eob"):
            error = refused(10176)
        elif size > MAX_MEMBERS:
            error = refused(10199, size=MAX_MEMBERS)
        if error is not None:
            self._forget(id)
            raise error

    def _forget(self, id: str) -> None:
        batch = self._open.pop(id, None)
        if batch is not None:
            batch.alarm.stop()

    def clear(self) -> None:
        """Forget all: the server was restarted, or the stream is gone."""
        for id in list(self._open):
            self._forget(id)
