"""NATS' client protocol as a server reads and writes it. Pure: bytes in, operations out.

Errors are those of nats-server 2.15: a `ProtocolViolation` has the text of its `-ERR` (none: it
hangs up without a word), and always ends the connection.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.streams.api import Headers, Message

MAX_CONTROL_LINE: Final = 4096  # bytes
_END: Final = b"\r\n"


class Connect(msgspec.Struct):
    """What a client says about itself. Names and versions are ignored."""

    verbose: bool = True
    pedantic: bool = False
    echo: bool = True
    headers: bool = False
    no_responders: bool = False
    tls_required: bool = False


class Operation(msgspec.Struct, gc=False):
    """What a client asks for: `verb` in capitals.

    `message` is that of PUB and HPUB; `number`, `subject` and `queue` those of SUB and UNSUB.
    """

    verb: str
    message: Message | None = None
    number: int = 0
    subject: str = ""
    queue: str = ""
    connect: Connect | None = None


class ProtocolViolation(Exception):
    """The client broke the protocol: `text` of the `-ERR`, empty for none."""

    def __init__(self, text: str) -> None:
        super().__init__(text or "a line that can't be read")
        self.text = text


class Reader:
    """Splits what one client sends into operations."""

    def __init__(self, max_payload: int) -> None:
        self._max_payload = max_payload
        self._data = b""

    def read(self, data: bytes) -> Iterator[Operation]:
        """The operations that are complete now. Raises `ProtocolViolation` and `NotSimulated`.

        Take all of them before the next call; after an error there is none.
        """
        data = self._data + data
        position = 0
        while (line_end := data.find(_END, position)) >= 0:
            if line_end - position > MAX_CONTROL_LINE:
                raise ProtocolViolation("maximum control line exceeded")
            words = data[position:line_end].split()
            start = line_end + 2
            if not words:
                position = start
                continue
            verb = words[0].upper()
            if len(words) == 1 and verb not in (b"PING", b"PONG"):
                raise ProtocolViolation("Unknown Protocol Operation")
            if verb == b"PUB" or verb == b"HPUB":
                stop = start + self._size(words, verb)
                if len(data) < stop + 2:
                    break
                if data[stop : stop + 2] != _END:
                    raise ProtocolViolation("Unknown Protocol Operation")
                yield _publish(words, verb, data[start:stop])
                start = stop + 2
            else:
                yield _control(verb, words, data[position:line_end])
            position = start
        self._data = data[position:]
        if line_end < 0 and len(self._data) > MAX_CONTROL_LINE:
            raise ProtocolViolation("maximum control line exceeded")

    def _size(self, words: list[bytes], verb: bytes) -> int:
        """The bytes that follow the line."""
        numbers = 1 if verb == b"PUB" else 2
        if not numbers + 2 <= len(words) <= numbers + 3:
            raise ProtocolViolation("")
        size = _number(words[-1])
        if numbers == 2 and _number(words[-2]) > size:
            raise ProtocolViolation("")
        if size > self._max_payload:
            raise ProtocolViolation("Maximum Payload Violation")
        return size


def _number(word: bytes) -> int:
    if not word.isdigit():
        raise ProtocolViolation("")
    return int(word)


def _text(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        raise NotSimulated("subjects that are not UTF-8") from None


def _publish(words: list[bytes], verb: bytes, body: bytes) -> Operation:
    numbers = 1 if verb == b"PUB" else 2
    headers: Headers | None = None
    if numbers == 2:
        length = int(words[-2])
        headers, body = _headers(body[:length]), body[length:]
    reply = _text(words[2]) if len(words) == numbers + 3 else ""
    return Operation("PUB", Message(_text(words[1]), body, headers, reply))


def _headers(block: bytes) -> dict[str, str]:
    """The headers of a block; only of one that could be written again from them."""
    try:
        headers = fields.decode(block)
    except UnicodeDecodeError:
        raise NotSimulated("headers that are not UTF-8") from None
    if fields.encode(headers) != block:
        raise NotSimulated("headers that repeat, or are not written as `Name: value`")
    if "Status" in headers:
        raise NotSimulated("a message with a header of the name Status")
    return headers


def _control(verb: bytes, words: list[bytes], line: bytes) -> Operation:
    if verb == b"PING" or verb == b"PONG":
        return Operation(verb.decode())
    if verb == b"SUB" and 3 <= len(words) <= 4:
        queue = _text(words[2]) if len(words) == 4 else ""
        return Operation("SUB", number=_id(words[-1]), subject=_text(words[1]), queue=queue)
    if verb == b"UNSUB" and len(words) == 2:
        return Operation("UNSUB", number=_id(words[1]))
    if verb == b"UNSUB" and len(words) == 3:
        raise NotSimulated("subscriptions that end after so many messages")
    if verb == b"CONNECT":
        try:
            return Operation("CONNECT", connect=msgspec.json.decode(line[7:], type=Connect))
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise ProtocolViolation("") from None
    raise ProtocolViolation("" if verb in (b"SUB", b"UNSUB") else "Unknown Protocol Operation")


def _id(word: bytes) -> int:
    if not word.isdigit():
        raise NotSimulated("subscriptions whose id is not a number")
    return int(word)


def deliver(message: Message, number: int) -> bytes:
    """A message for the subscription `number` of a client."""
    reply = f" {message.reply}" if message.reply else ""
    data = message.data
    if message.headers:
        block = _block(message.headers)
        sizes = f"{len(block)} {len(block) + len(data)}"
        head = f"HMSG {message.subject} {number}{reply} {sizes}\r\n".encode()
        return b"".join((head, block, data, _END))
    head = f"MSG {message.subject} {number}{reply} {len(data)}\r\n".encode()
    return b"".join((head, data, _END))


def _block(headers: Headers) -> bytes:
    """Headers as the server writes them: a status stands in the first line."""
    status = headers.get("Status")
    if status is None:
        return fields.encode(headers)
    rest = {n: value for n, value in headers.items() if n not in ("Status", "Description")}
    first = f"NATS/1.0 {status} {headers.get('Description', '')}".rstrip()
    return first.encode() + fields.encode(rest)[len("NATS/1.0") :]
