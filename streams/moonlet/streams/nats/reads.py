"""What is read from the server: in which pieces, and who takes what of it."""

from collections.abc import Callable
from typing import Protocol
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

from moonlet.streams.api import Delivery
from moonlet.streams.nats.limits import UNREAD_BYTES

RawHandler = Callable[[bytes, bytes, bytes, bytes | None], None]
"""Gets subject, reply, data, and headers as they came (None if there are none)."""


class TakesDeliveries(Protocol):
    """A subscription of which only deliveries come, but for statuses."""

    @property
    def handler(self) -> RawHandler:
        """Who gets all else, and each of them where it is not faster."""
        ...

    def take_deliveries(self, deliveries: list[Delivery]) -> None:
        """As its handler for each of them."""
        ...


class LargerReads(TcpTransport):
    """nats-py's, which takes more before it has the server wait: fewer, larger writes there."""

    def __bool__(self) -> bool:
        return True  # nats-py puts its own in the place of one that isn't connected yet

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """As nats-py's, with room of our own."""
        await super().connect(uri, UNREAD_BYTES, connect_timeout)
