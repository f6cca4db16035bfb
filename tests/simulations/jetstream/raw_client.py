"""The least NATS client: blocking, one socket, no retries; what it gets, it keeps."""

import itertools
import socket
import time
from collections import deque
from urllib.parse import urlsplit

from moonlet.simulations.jetstream import headers as fields
from moonlet.streams.api import Headers, Message

_CONNECT = (
    b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}'
)


class RawClient:
    """Messages of all subscriptions arrive in `inbox`, with the subject they were sent to."""

    _count = itertools.count(1)

    def __init__(self, url: str) -> None:
        self.prefix = f"_INBOX.raw{next(self._count)}."
        address = urlsplit(url)
        assert address.hostname is not None
        self._socket = socket.create_connection((address.hostname, address.port or 4222), 5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._subjects: dict[int, str] = {}
        self._replies = 0
        self._pongs = 0
        self.inbox: deque[tuple[int, Message]] = deque()
        self._take_line(time.monotonic() + 5)
        self._send(_CONNECT + b"\r\n")
        self._answers: dict[str, Message] = {}
        self._reply_number = self.subscribe(f"{self.prefix}reply.*")
        self.flush()

    def close(self) -> None:
        """End the connection at once."""
        self._socket.close()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def subscribe(self, subject: str) -> int:
        """Subscribe; returns the subscription's number."""
        number = len(self._subjects) + 1
        self._subjects[number] = subject
        self._send(f"SUB {subject} {number}\r\n".encode())
        return number

    def unsubscribe(self, number: int) -> None:
        """End a subscription."""
        self._send(f"UNSUB {number}\r\n".encode())

    def publish(
        self, subject: str, data: bytes, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """Send a message."""
        if headers:
            block = fields.encode(headers)
            head = f"HPUB {subject} {reply} {len(block)} {len(block) + len(data)}\r\n"
            self._send(head.encode() + block + data + b"\r\n")
        else:
            self._send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")

    def request(
        self, subject: str, data: bytes, headers: Headers | None = None, timeout: float = 5.0
    ) -> Message | None:
        """Send and wait for one answer; None after `timeout` seconds."""
        self._replies += 1
        reply = f"{self.prefix}reply.{self._replies}"
        self.publish(subject, data, headers, reply)
        end = time.monotonic() + timeout
        while reply not in self._answers:
            if not self._take(end):
                return None
        return self._answers.pop(reply)

    def flush(self) -> None:
        """Wait until the server has read what was sent, and take what it had sent before."""
        self._send(b"PING\r\n")
        wanted = self._pongs + 1
        end = time.monotonic() + 5
        while self._pongs < wanted:
            assert self._take(end), "the server doesn't answer"

    def wait(self, count: int, timeout: float) -> bool:
        """Wait until `inbox` holds `count` messages; False after `timeout` seconds."""
        end = time.monotonic() + timeout
        while len(self.inbox) < count:
            if not self._take(end):
                return False
        return True

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _receive(self, end: float) -> bool:
        left = end - time.monotonic()
        if left <= 0:
            return False
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return False
        assert data, "the server closed the connection"
        self._buffer += data
        return True

    def _take_line(self, end: float) -> bytes | None:
        while b"\r\n" not in self._buffer:
            if not self._receive(end):
                return None
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _take(self, end: float) -> bool:
        """Handle one protocol line; False if none came in time."""
        line = self._take_line(end)
        if line is None:
            return False
        verb, _, rest = line.partition(b" ")
        if verb == b"PING":
            self._send(b"PONG\r\n")
        elif verb == b"PONG":
            self._pongs += 1
        elif verb in (b"MSG", b"HMSG"):
            self._take_message(rest.decode().split(" "), verb == b"HMSG")
        elif verb == b"-ERR":
            raise AssertionError(line.decode())
        return True

    def _take_message(self, words: list[str], with_headers: bool) -> None:
        total = int(words[-1])
        head = int(words[-2]) if with_headers else 0
        while len(self._buffer) < total + 2:
            assert self._receive(time.monotonic() + 5), "half a message"
        body, self._buffer = self._buffer[:total], self._buffer[total + 2 :]
        sizes = 2 if with_headers else 1
        reply = words[2] if len(words) - sizes == 3 else ""
        headers = _decode(body[:head]) if head else None
        number = int(words[1])
        message = Message(words[0], body[head:], headers, reply)
        if number == self._reply_number:
            self._answers[words[0]] = message
        else:
            self.inbox.append((number, message))


def _decode(block: bytes) -> dict[str, str]:
    status, _, _ = block.partition(b"\r\n")
    headers = fields.decode(block)
    inline = status.decode()[9:]
    if inline:
        description = {"Description": inline[4:]} if inline[4:] else {}
        headers = {"Status": inline[:3], **description, **headers}
    return headers
