"""nats-py's client with a shorter way in and out, and without its traps.

nats-py connects, authenticates, pings, reconnects and replays subscriptions. What is replaced is
its hot path: a publish there is a coroutine that checks every header with a regular expression,
and a message passes two coroutines, five regular expressions, a queue and a task before its
handler runs. Here a frame is handed straight to the flusher's list and a handler is called
straight from the parser. `test_nats_wire.py` fails when nats-py changes any of the functions
that this leans on.
"""

import asyncio
import functools
import random
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from nats import errors as nats_errors
from nats.aio.client import Client, Server, Srv
from nats.protocol.parser import Parser

from moonlet.core.errors import InvalidId, InvalidMessage
from moonlet.streams.api import Disconnected, Headers, NoAnswer
from moonlet.streams.native import NativeDeliveries
from moonlet.streams.nats.limits import CONTROL_LINE_MAX, SUBJECT_BYTES_MAX, too_large
from moonlet.streams.nats.reads import LargerReads, RawHandler, TakesDeliveries
from moonlet.streams.nats.sift import Sifter, sift
from moonlet.telemetry.log import get_logger

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 7230 token
UNSENT_BYTES_MAX = 64 * 1024 * 1024  # handed over but not yet taken by the socket
RECONNECT_WAIT_SECONDS = (0.1, 1.0)
CANCELLED_MAX = 12  # tasks of a connection that others may cancel, of three or four

_DENIED = re.compile(r'Permissions Violation for (Publish|Subscription) to "([^"]+)"', re.I)
_M, _H = b"MH"

log = get_logger(__name__)


@functools.lru_cache(maxsize=65_536)
def check_subject(subject: str) -> None:
    """Refuse what would break the protocol line; wildcards and tokens are not looked at."""
    if subject.split() != [subject]:
        raise InvalidId(
            f"the subject {subject!r} is empty or has white space in it; "
            "subjects are tokens joined by dots"
        )
    if len(subject) > SUBJECT_BYTES_MAX // 2 and len(subject.encode()) > SUBJECT_BYTES_MAX:
        raise InvalidId(
            f"a subject of {len(subject)} characters is too long: "
            f"at most {SUBJECT_BYTES_MAX} bytes are allowed"
        )


def encode_publish(
    subject: str,
    reply: str,
    data: bytes,
    headers: Headers | None,
    max_payload: int,
    more: str = "",
) -> bytes:
    """The frame that publishes one message.

    `reply` may be empty; `more` are further header lines, each with its line end; neither is
    checked.
    """
    check_subject(subject)
    size = len(data)
    if headers or more:
        block = encode_headers(headers or {}, more)
        total = len(block) + size
        if total > max_payload:
            raise too_large(total, max_payload, subject)
        head = f"HPUB {subject} {reply} {len(block)} {total}\r\n".encode()
        return b"".join((head, block, data, b"\r\n"))
    if size > max_payload:
        raise too_large(size, max_payload, subject)
    return b"".join((f"PUB {subject} {reply} {size}\r\n".encode(), data, b"\r\n"))


def encode_headers(headers: Headers, more: str = "") -> bytes:
    """The header block; names are tokens, values any text without line breaks."""
    text = "NATS/1.0\r\n"
    for name, value in headers.items():
        if "\r" in value or "\n" in value:
            raise InvalidMessage(
                f"the value of the header {name} has a line break in it, which would begin another "
                "header; encode it",
                path=name,
            )
        text = f"{text}{_name_and_colon(name)}{value}\r\n"
    return f"{text}{more}\r\n".encode()


@functools.lru_cache(maxsize=1024)
def _name_and_colon(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidMessage(
            f"the header name {name!r} has a line break, a space or another character in it "
            "that header names can't have; use letters, digits and '-'",
            path=name,
        )
    return f"{name}: "


def _nothing(*_: Any) -> None:
    pass


class NatsWire(Client):
    """A nats-py client whose subscriptions are plain functions.

    `on_denied` gets 'Publish' or 'Subscription' and the subject, in its own case; `on_lost` the
    reason, as soon as a connection is lost: what was not sent is gone by then, nothing is sent
    after a reconnect that was handed over before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[bytes, RawHandler] = {}
        self.sifters: dict[bytes, Sifter] = {}
        self.gathered: dict[bytes, TakesDeliveries] = {}  # by number: many at once, if faster
        self.native: NativeDeliveries | None = None
        """The Rust core's way with deliveries, if there is one."""
        self.on_denied: Callable[[str, str], None] = _nothing
        self.on_lost: Callable[[str], None] = _nothing
        self.holder: RawHandler | None = None
        self._hand_over: Callable[[], None] = _nothing
        self._ps = _Parser(self)
        self._round_trips: set[asyncio.Future[bool]] = set()
        self._cancelled = 0
        self.trouble = ""
        """Why there is no connection, where it is not only a matter of time."""
        self._flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushed.set_result(None)

    @property
    def info(self) -> dict[str, Any]:
        """What the server told about itself at the last connect."""
        return dict(self._server_info)

    @property
    def ready(self) -> bool:
        """Whether frames are taken now."""
        return bool(self._status == Client.CONNECTED)

    def send_message(self, subject: str, reply: str, data: bytes, headers: Headers | None) -> None:
        """Hand over one message; `Disconnected` if it can't be sent now, `PayloadTooLarge`."""
        self.send(encode_publish(subject, reply, data, headers, self.max_payload))

    def post(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """See `JetStream.post`."""
        if reply:
            check_subject(reply)
        self.send(encode_publish(subject, reply, data, headers, self.max_payload))

    def acknowledge(self, reply: str, *, answer_to: str = "") -> None:
        """See `JetStream.acknowledge`: lost, silently, while there is no connection."""
        if self.ready:
            self.send(f"PUB {reply} {answer_to} 0\r\n\r\n".encode())

    def send(self, frame: bytes) -> None:
        """Hand over whole protocol lines; `Disconnected` if they can't be sent now."""
        if self._status != Client.CONNECTED:
            raise Disconnected(
                "not sent: there is no connection to the NATS server now; "
                + (self.trouble or "it is being restored, try again")
            )
        if self._pending_data_size > UNSENT_BYTES_MAX or (
            not self._pending and self._untaken() > UNSENT_BYTES_MAX
        ):
            raise Disconnected(
                f"not sent: the NATS server has left over {UNSENT_BYTES_MAX} bytes unread; "
                "it may hang, look at it or try again"
            )
        self._pending.append(frame)
        self._pending_data_size += len(frame)
        queue = self._flush_queue
        assert queue is not None, "connected once"
        if queue.empty():
            queue.put_nowait(self._flushed)

    def _untaken(self) -> int:
        """Bytes that the socket has not taken. From Python 3.12 on asyncio's `writelines` takes
        all that nats-py's flusher gives it, whatever waits already."""
        writer = getattr(self._transport, "_io_writer", None)
        return 0 if writer is None else int(writer.transport.get_write_buffer_size())

    def hold_back(self, holder: RawHandler, hand_over: Callable[[], None]) -> None:
        """`holder` keeps what it was given: `hand_over` is called before any other is, or when all
        that was read is parsed. So what came in one piece is handed on in one."""
        assert self.holder is None
        self.holder, self._hand_over = holder, hand_over

    def hand_over(self) -> None:
        """Let the holder pass on what it holds; one mistake must not end everyone's reading."""
        self.holder = None
        try:
            self._hand_over()
        except BaseException:  # nothing is awaited here: a cancellation isn't ours
            log.exception("message_handler_failed", subject="a batch of deliveries")

    def sift(self, number: int, sifter: Sifter) -> None:
        """Let deliveries to a subscription pass by its handler, through a sieve."""
        self.sifters[b"%d" % number] = sifter

    def flush_sifters(self) -> None:
        """All that was read is parsed: hand over; one mistake must not end everyone's reading."""
        for sifter in list(self.sifters.values()):
            try:
                sifter.flush()
            except BaseException:
                log.exception("message_handler_failed", subject="a batch of sifted deliveries")

    async def subscribe_raw(self, subject: str, handler: RawHandler, queue: str = "") -> int:
        """Subscribe; the handler runs inside the read loop. Returns the subscription's number."""
        number = self._sid + 1
        self.handlers[b"%d" % number] = handler
        # Without callback and limits: nothing is queued, the parser calls the handler.
        subscription = await self.subscribe(subject, queue)
        assert subscription._id == number
        return number

    def unsubscribe_raw(self, number: int) -> None:
        """End a subscription; twice is harmless, and so is a connection that takes nothing."""
        self.sifters.pop(b"%d" % number, None)
        self.gathered.pop(b"%d" % number, None)
        if self.handlers.pop(b"%d" % number, None) is not None:
            self._remove_sub(number)
            if self.ready:
                with suppress(Disconnected):
                    self.send(b"UNSUB %d\r\n" % number)

    async def round_trip(self, timeout: float) -> None:
        """Return when the server has read all that was sent before; `NoAnswer` if it doesn't.

        nats-py's flush lets its PING overtake what waits for the flusher.
        """
        if not self.ready:
            raise Disconnected("there is no connection to the NATS server now")
        assert self._transport is not None, "connected"
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._round_trips.add(answered)
        try:
            self._transport.writelines(self._pending)
            self._pending = []
            self._pending_data_size = 0
            await self._send_ping(answered)
            async with asyncio.timeout(timeout):
                await answered
        except TimeoutError:
            raise NoAnswer(f"the NATS server did not answer a ping within {timeout} s") from None
        finally:
            self._round_trips.discard(answered)

    def abort(self) -> None:
        """Drop the socket with all that waits in it."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None and not writer.transport.is_closing():
            # Python 3.11.2 fails in abort() of a TLS connection that the server has ended.
            writer.transport.abort()

    def select_server(self, servers: list[Server], info: dict[str, Any]) -> tuple[Server, float]:
        """Where to reconnect next and after which pause: spread out, so that no herd arrives."""
        # Spreading load needs no reproducible randomness, and only the real client does it.
        least = min(server.reconnects for server in servers)
        chosen = random.choice([server for server in servers if server.reconnects == least])
        return chosen, random.uniform(*RECONNECT_WAIT_SECONDS)

    async def _connect_to_server(self, s: Srv) -> None:
        self.abort()  # what is left of an attempt that failed: nats-py would leave it open
        if self._transport is None and s.uri.scheme in ("nats", "tls"):
            self._transport = LargerReads()  # type: ignore[no-untyped-call]
        await super()._connect_to_server(s)

    def _connect_command(self) -> bytes:
        # It holds the password. nats-py encrypts if the server asks for that, and else does not.
        asked = "tls" in self.options and not self.options["tls_handshake_first"]
        if asked and not self._server_info.get("tls_required"):
            raise nats_errors.SecureConnWantedError
        return bytes(super()._connect_command())

    async def _process_op_err(self, e: Exception) -> None:
        if self.is_connected:
            # nats-py would send this after the reconnect (a write that its caller was told has
            # failed), and would wait for a hanging server to read the rest before reconnecting.
            self._pending = []
            self._pending_data_size = 0
            self.abort()
            self._lose(str(e) or type(e).__name__)
        await super()._process_op_err(e)

    async def _read_loop(self) -> None:
        await self._for_ever(super()._read_loop(), "_reading_task", self._read_loop)

    async def _flusher(self) -> None:
        await self._for_ever(super()._flusher(), "_flusher_task", self._flusher)

    async def _ping_interval(self) -> None:
        await self._for_ever(super()._ping_interval(), "_ping_interval_task", self._ping_interval)

    async def _for_ever(
        self, loop: Coroutine[Any, Any, None], name: str, again: Callable[[], Any]
    ) -> None:
        """nats-py's loops end of what they don't know, and then nobody reads, or writes, again.

        They end too where a program that ends cancels all tasks there are: then another takes the
        place, so that what the program still says and asks at its end is sent and answered.
        """
        try:
            await loop
        except asyncio.CancelledError:
            self._carry_on(name, again)
            raise
        except Exception:
            log.exception("nats_loop_died", what=name)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            self._carry_on(name, again)
        elif self.ready:
            log.warning("nats_connection_anew", reason=f"its {name} ended by itself")
            await self._process_op_err(nats_errors.Error(f"nats: the {name} ended"))

    def _carry_on(self, name: str, again: Callable[[], Any]) -> None:
        """A task of the connection was cancelled: by us, as its status says, or by others."""
        if not self.ready:
            return
        self._cancelled += 1
        if self._cancelled <= CANCELLED_MAX:
            setattr(self, name, asyncio.get_running_loop().create_task(again()))
            return
        self._status = Client.DISCONNECTED  # whoever cancels for ever wants it to end
        self.abort()
        self._lose("all tasks were cancelled, again and again")

    def _lose(self, reason: str) -> None:
        for waiting in self._round_trips:
            if not waiting.done():
                waiting.set_exception(NoAnswer("the connection was lost before the answer"))
        self.on_lost(reason)

    async def _process_err(self, err_msg: str) -> None:
        text = err_msg.strip("'")
        if denied := _DENIED.search(text):
            self.on_denied(denied[1].capitalize(), denied[2])
            return
        # nats-py would close for good, at a full server or expired credentials too.
        self._err = nats_errors.Error(f"nats: {text}")
        log.warning("nats_error", error=text)
        await self._process_op_err(self._err)

    async def _process_pong(self) -> None:
        if self._pongs:
            answered = self._pongs.pop(0)
            self._pongs_received += 1
            self._pings_outstanding = 0
            if not answered.done():  # nats-py's read loop would die of a caller that gave up
                answered.set_result(True)

    async def _attempt_reconnect(self) -> None:
        try:
            while True:
                try:
                    return await super()._attempt_reconnect()
                except Exception as error:  # nats-py's task would die and nobody would reconnect
                    log.warning("nats_reconnect_failed", error=f"{type(error).__name__}: {error}")
                    await asyncio.sleep(random.uniform(*RECONNECT_WAIT_SECONDS))
        finally:
            self._go_on_reconnecting()

    def _go_on_reconnecting(self) -> None:
        """If others cancelled it: nats-py itself closes first, or has another task already."""
        task = asyncio.current_task()
        if self.is_closed or task is None or task is not self._reconnection_task:
            return
        if task.cancelling() and self._cancelled < CANCELLED_MAX:
            self._cancelled += 1
            self._status = Client.RECONNECTING
            again = asyncio.get_running_loop().create_task(self._attempt_reconnect())
            self._reconnection_task = again


class _Parser(Parser):
    """Splits what the server sends; messages go straight to their handlers.

    Only lines that aren't messages take nats-py's way.
    """

    def __init__(self, wire: NatsWire) -> None:
        self._generation = 0
        super().__init__(wire)

    def reset(self) -> None:
        self._generation += 1
        super().reset()

    async def parse(self, data: bytes = b"") -> None:
        if self.buf:
            self.buf += data
            if len(self.buf) < self.needed:
                return
            data = bytes(self.buf)
        generation = self._generation
        position, needed = 0, 0
        sifters = self.nc.sifters
        try:
            if sifters:
                position = self._sift(data, position)
            while (line_end := data.find(b"\r\n", position)) >= 0:
                first = data[position]
                if first == _M or first == _H:
                    next_position = self._gather(data, position)
                    if next_position == position:
                        next_position = self._message(data, position, line_end, first)
                    if next_position > len(data):
                        needed = next_position - position
                        break
                    position = next_position
                else:
                    if self.nc.holder is not None:
                        self.nc.hand_over()
                    await self._control(data[position:line_end])
                    if self._generation != generation:
                        return  # disconnected meanwhile: the rest belongs to the old connection
                    position = line_end + 2
                if sifters:
                    position = self._sift(data, position)
        except (ValueError, IndexError) as error:
            raise nats_errors.ProtocolError from error
        finally:
            if self.nc.holder is not None:
                self.nc.hand_over()
            if sifters:
                self.nc.flush_sifters()
        if not needed and len(data) - position > CONTROL_LINE_MAX:
            raise nats_errors.ProtocolError
        self.buf = bytearray(data[position:])
        self.needed = needed

    def _sift(self, data: bytes, position: int) -> int:
        native: NativeDeliveries | None = self.nc.native
        if native is not None:
            position = native.sift(data, position, self.nc.sifters)
        return sift(data, position, self.nc.sifters)  # what was left alone

    def _gather(self, data: bytes, position: int) -> int:
        """Take the whole deliveries that begin here, of one pull, if that is faster; where to."""
        native: NativeDeliveries | None = self.nc.native
        if native is None or not self.nc.gathered:
            return position
        pull, found, end = native.gather(data, position, self.nc.gathered)
        if pull is not None:
            if self.nc.holder not in (None, pull.handler):
                self.nc.hand_over()
            pull.take_deliveries(found)
        return end

    def _message(self, data: bytes, position: int, line_end: int, first: int) -> int:
        """Deliver the message that starts here if all of it is there; where the next starts."""
        # MSG <subject> <subscription> [<reply>] <size>
        # HMSG <subject> <subscription> [<reply>] <size of the headers> <size with them>
        words = data[position:line_end].split()
        start = line_end + 2
        stop = start + int(words[-1])
        replies = len(words) - (5 if first == _H else 4)
        if replies != 0 and replies != 1:
            raise nats_errors.ProtocolError
        if stop + 2 > len(data):
            return stop + 2
        handler = self.nc.handlers.get(words[2])
        if handler is None:
            return stop + 2
        headers = None
        if first == _H:
            middle = start + int(words[-2])
            headers = data[start:middle]
            start = middle
        reply = words[3] if replies else b""
        holder = self.nc.holder
        if holder is not None and holder is not handler:
            self.nc.hand_over()
        try:
            handler(words[1], reply, data[start:stop], headers)
        except BaseException:  # one handler's mistake must not end everyone's reading
            log.exception("message_handler_failed", subject=words[1].decode("utf-8", "replace"))
        return stop + 2

    async def _control(self, line: bytes) -> None:
        if line.startswith(b"-ERR"):
            # nats-py would make it lower case, and with it the subject that was denied.
            await self.nc._process_err(line[4:].strip().decode("utf-8", "replace"))
            return
        self.buf = bytearray(line + b"\r\n")
        await super().parse()
