"""Group commit: appends of many agents in one flight, each with its own compare-and-set.

Few waiting commits go out as pipelined single publishes; more as one atomic batch (ADR-50), all or
nothing, while the next one fills. What is few depends on the server's disk, which `Storage` tells.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from moonlet.core.codec import (
    COMPRESS_ABOVE,
    ENCODING_HEADER,
    MAX_PLAIN,
    MAX_RECORD_VALUES,
    Codec,
    Encoding,
    check_record,
    pack,
)
from moonlet.core.commit import Commit
from moonlet.core.digest import DIGEST_HEADER, record_hash
from moonlet.core.errors import (
    Conflict,
    InvalidMessage,
    LimitExceeded,
    MoonletError,
    PayloadTooLarge,
    PermissionDenied,
    Unavailable,
)
from moonlet.streams.api import NoAnswer, Outgoing, PubAck, ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import conflicting_sequence, is_conflict, is_full, is_too_large
from moonlet.streams.journal.storage import LOOK_EVERY, Storage
from moonlet.telemetry.metrics import Histogram

BATCH_MAX: Final = 1_000
"""Messages of one atomic batch: the server's limit."""

BATCH_BYTES: Final = 8_388_608
"""Payload bytes of one atomic batch."""

EXPECTED_LAST: Final = "Nats-Expected-Last-Subject-Sequence"

Record = tuple[bytes, dict[str, str]]
Done = Callable[["list[int] | MoonletError"], None]


_ENCODE: Final = {
    encoding: Codec[Commit[msgspec.Raw]](Commit[msgspec.Raw], encoding).encode_known
    for encoding in ("json", "msgpack")
}


def encode_commit(commit: Commit[Any], encoding: Encoding) -> tuple[Record, str]:
    """The message of a commit that has no place yet, and its digest.

    Raises `PayloadTooLarge` for a record that no reader would take: over 16 MiB uncompressed, or
    over a million values.
    """
    assert commit.sequence == 0 and commit.digest == "" and commit.stored == 0
    data = _ENCODE[encoding](commit)
    if len(data) > MAX_PLAIN:
        raise PayloadTooLarge(
            f"the command's events, effects and reply take {len(data)} bytes, over the limit of"
            f" {MAX_PLAIN}: yield less at once",
            limit=MAX_PLAIN,
            value=len(data),
        )
    if len(data) > MAX_RECORD_VALUES:
        try:
            check_record(data, encoding)
        except InvalidMessage as error:
            raise PayloadTooLarge(f"the commit can't be read back: {error}") from None
    digest = record_hash(data).hexdigest()
    headers = {DIGEST_HEADER: digest}
    if encoding != "json" or len(data) > COMPRESS_ABOVE:
        data, headers[ENCODING_HEADER] = pack(data, encoding)
    return (data, headers), digest


class Append:
    """A chain of an agent's next commits: all are stored, or none."""

    __slots__ = ("alone", "bytes", "done", "expected", "records", "subject")

    def __init__(self, subject: str, expected: int, records: Sequence[Record], done: Done) -> None:
        self.subject = subject
        self.expected = expected
        self.records = records
        self.done = done
        self.bytes = 0
        for payload, _ in records:
            self.bytes += len(payload)
        self.alone = False

    def tell(self, result: "list[int] | MoonletError") -> None:
        """Call `done`. If that fails, others' appends are told all the same, and this one's agent
        that its journal is to be read again.
        """
        try:
            self.done(result)
        except BaseException as error:
            message = f"an append to {self.subject} was not taken note of"
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": message, "exception": error})
            try:
                self.done(Unavailable(f"{message}: {error!r:.200}; its journal is read again"))
            except BaseException as again:
                loop.call_exception_handler({"message": message, "exception": again})


UNANSWERED_MAX: Final = 2
"""Appends in a row without an answer, after which it is said that the journal takes none."""


class GroupCommit:
    """The writer of one journal stream. `append` returns at once; `done` is called later, once.

    `done` gets the sequences, or: `Conflict` (another write came first, nothing stored),
    `LimitExceeded` or `PermissionDenied` (nothing stored), `Unavailable` (not known: read the
    journal before anything else).
    """

    def __init__(
        self, bus: Bus, stream: str, *, timeout: float = 5.0, times: Histogram | None = None
    ) -> None:
        self._bus = bus
        self._js = bus._js
        self._stream = stream
        self._timeout = timeout
        self._highest = 0  # acknowledged
        self.trouble = ""
        """Why the journal takes no commits, as far as its last answers tell; '' if it does."""
        self.conflicts = 0
        """Appends that lost to another commit."""
        self._times = times
        self._unanswered = 0
        self._waiting: list[Append] = []
        self._waiting_records = 0
        self._singles = 0
        self._lone = 0  # single appends with nothing else in flight
        self._storage = Storage()
        self._batch_in_flight = False
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._drained: asyncio.Event | None = None

    def append(self, subject: str, expected: int, records: Sequence[Record], done: Done) -> None:
        """Append `records` after the subject's last sequence `expected` (0: it is empty)."""
        append = Append(subject, expected, records, done)
        limit = self._bus.max_payload
        if append.bytes > limit:
            size = max(len(payload) for payload, _ in records)
            if size > limit:
                text = f"a commit of {size} bytes is over the server's limit"
                done(PayloadTooLarge(text, limit=limit, value=size))
                return
        assert len(append.records) <= BATCH_MAX
        self._waiting.append(append)
        self._waiting_records += len(append.records)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is in flight."""
        while self._busy:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    @property
    def _busy(self) -> bool:
        return bool(self._waiting or self._singles or self._batch_in_flight or self._tasks)

    def _flush(self) -> None:
        self._scheduled = False
        self._send_waiting()
        if self._drained is not None:
            self._note_idle()

    def _note_idle(self) -> None:
        if self._drained is not None and not self._busy:
            self._drained.set()
            self._drained = None

    def _send_waiting(self) -> None:
        while self._waiting and not self._batch_in_flight:
            batch_from = self._storage.batch_from
            if self._waiting_records >= batch_from or any(
                len(append.records) > 1 or append.alone for append in self._waiting
            ):
                self._send_batch(self._take_batch())
            elif self._singles >= batch_from:
                return
            else:
                append = self._waiting.pop(0)
                self._waiting_records -= 1
                self._send_single(append)

    def _take_batch(self) -> list[Append]:
        taken: list[Append] = []
        count = size = 0
        for append in self._waiting:
            count += len(append.records)
            size += append.bytes
            full = count > BATCH_MAX or size > BATCH_BYTES
            if taken and (full or append.alone or taken[0].alone):
                break
            taken.append(append)
        del self._waiting[: len(taken)]
        self._waiting_records -= sum(len(append.records) for append in taken)
        return taken

    def _send_single(self, append: Append) -> None:
        payload, headers = append.records[0]
        sent, looks = None, False
        if not self._singles:
            self._lone += 1
            looks = self._lone <= LOOK_EVERY or not self._lone % LOOK_EVERY
            if looks or self._times is not None:
                sent = self._bus.clock.monotonic()
        self._singles += 1

        def landed(future: "asyncio.Future[PubAck]") -> None:
            self._singles -= 1
            error = _outcome(future) or self._went_back(future.result().sequence)
            if sent is not None and error is None:
                took = self._bus.clock.monotonic() - sent
                if looks:
                    self._storage.took(took)
                if self._times is not None:
                    self._times.observe(took)
            if error is not None or self._unanswered:
                self._note(error)
            append.tell([future.result().sequence] if error is None else error)
            self._flush()

        expected = {EXPECTED_LAST: str(append.expected)}
        future = self._publish(append.subject, payload, {**headers, **expected})
        future.add_done_callback(landed)

    def _went_back(self, sequence: int) -> MoonletError | None:
        """What is wrong if the server stored behind what it had acknowledged before.

        Told once: an answer may have been overtaken, or an operator accepted that it went back.
        """
        before, self._highest = self._highest, sequence
        if sequence > before:
            return None
        return Unavailable(
            f"{self._stream} stored a commit at {sequence}, though it had reached {before}: it is"
            " read again"
        )

    def _note(self, error: MoonletError | None) -> None:
        """A disk that is full is silent: the server answers all else, and no append."""
        if isinstance(error, LimitExceeded) and not isinstance(error, PayloadTooLarge):
            self._unanswered, self.trouble = 1, str(error)
        elif isinstance(error, NoAnswer) and self._bus.connected:
            self._unanswered += 1
            if self._unanswered >= UNANSWERED_MAX:
                self.trouble = (
                    f"the journal {self._stream} has left the last {self._unanswered} appends"
                    " without an answer, though its server is there: its disk may be full; see the"
                    " server's log, make room, and restart the server if it goes on"
                )
        elif isinstance(error, Conflict):
            self.conflicts += 1
        elif error is None:
            self._unanswered, self.trouble = 0, ""

    def _publish(
        self, subject: str, payload: bytes, headers: dict[str, str]
    ) -> "asyncio.Future[PubAck]":
        try:
            return self._js.publish(subject, payload, headers=headers, timeout=self._timeout)
        except MoonletError as error:
            return _failed(error)

    def _send_batch(self, batch: list[Append]) -> None:
        if len(batch) == 1 and len(batch[0].records) == 1:
            self._send_single(batch[0])
            return
        messages: list[Outgoing] = []
        for append in batch:
            expected: int | None = append.expected
            for payload, headers in append.records:
                if expected is not None:
                    headers = {**headers, EXPECTED_LAST: str(expected)}
                    expected = None
                messages.append(Outgoing(append.subject, payload, headers))
        self._batch_in_flight = True
        sent = self._bus.clock.monotonic() if self._times is not None else 0.0

        def landed(future: "asyncio.Future[PubAck]") -> None:
            self._batch_in_flight = False
            error = _outcome(future)
            self._note(error)
            if self._times is not None and error is None:
                self._times.observe(self._bus.clock.monotonic() - sent)
            if error is None:
                error = self._went_back(future.result().sequence)
                if error is not None:
                    for append in batch:
                        append.tell(error)
                else:
                    _tell_sequences(batch, future.result().sequence, len(messages))
            else:
                self._refused(batch, error, future.exception())
            self._flush()

        try:
            future = self._js.publish_batch(messages, timeout=self._timeout)
        except MoonletError as error:
            future = _failed(error)
        future.add_done_callback(landed)

    def _refused(
        self, batch: list[Append], error: MoonletError, cause: BaseException | None
    ) -> None:
        """Nothing of the batch is stored, or that isn't known."""
        named = isinstance(cause, ServerRefused) and not is_full(cause)
        if len(batch) == 1 or not (named or isinstance(error, PayloadTooLarge)):
            for append in batch:
                append.tell(error)
        elif isinstance(error, Conflict):
            assert isinstance(cause, ServerRefused)
            self._start(self._without_the_conflicting(batch, conflicting_sequence(cause)))
        elif isinstance(error, Unavailable):
            for append in batch:
                append.tell(error)
        else:
            self._apart(batch)

    async def _without_the_conflicting(self, batch: list[Append], sequence: int | None) -> None:
        """Find whose subject the server named, tell that agent, send the rest again."""
        subject = None
        if sequence:
            try:
                message = await self._js.message(self._stream, sequence)
                subject = message.subject if message is not None else None
            except MoonletError:
                subject = None
        rest = [append for append in batch if append.subject != subject]
        if len(rest) == len(batch):
            self._apart(batch)
            return
        for append in batch:
            if append.subject == subject:
                append.tell(Conflict(f"{subject}: another commit came first, at {sequence}"))
        self._send_again(rest)

    def _apart(self, batch: list[Append]) -> None:
        """The refusal named no member: each chain alone gets its own answer."""
        for append in batch:
            append.alone = True
        self._send_again(batch)

    def _send_again(self, batch: list[Append]) -> None:
        self._waiting[:0] = batch
        self._waiting_records += sum(len(append.records) for append in batch)
        self._flush()

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._note_idle()


def _failed(error: MoonletError) -> "asyncio.Future[PubAck]":
    future: asyncio.Future[PubAck] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def _tell_sequences(batch: list[Append], last: int, count: int) -> None:
    """The sequences of a batch are contiguous and end at `last`."""
    sequence = last - count + 1
    for append in batch:
        n = len(append.records)
        append.tell([sequence] if n == 1 else list(range(sequence, sequence + n)))
        sequence += n


def _outcome(future: "asyncio.Future[PubAck]") -> MoonletError | None:
    """What the future's error means to an appender; None if it was stored."""
    if future.cancelled():
        return Unavailable("the append was cancelled; read the journal to see whether it landed")
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, ServerRefused):
        if is_conflict(error):
            return Conflict(f"another commit came first: {error.description}")
        if is_full(error):
            return LimitExceeded(
                f"the journal is full: {error.description}; free disk or raise the limit"
            )
        if is_too_large(error):
            return PayloadTooLarge(f"the commit is too large: {error.description}")
        return Unavailable(f"the journal did not take the commit: {error.description}")
    if isinstance(error, PermissionDenied | PayloadTooLarge | Unavailable):
        return error
    assert isinstance(error, MoonletError), error
    return Unavailable(str(error))
