"""Connections that lose deliveries, or can't reach some streams, over a real one."""

from typing import Any

from moonlet.core.errors import Unavailable
from moonlet.streams import Delivery, JetStream, Message, Subscription


class Hurt:
    """`JetStream` over another. `lose`: stream sequences whose delivery is lost, once each.

    `cut`: streams that can't be reached. `deaf`: subjects whose messages don't arrive. `posted` is
    what was sent by core NATS.
    """

    def __init__(self, inner: JetStream) -> None:
        self._inner = inner
        self.lose: set[int] = set()
        self.lost: list[int] = []
        self.cut: set[str] = set()
        self.deaf = False
        self.posted: list[tuple[str, bytes]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _reach(self, stream: str) -> None:
        if stream in self.cut:
            raise Unavailable(f"{stream} was cut off by the test")

    async def open_pull(
        self,
        stream: str,
        consumer: str,
        on_deliveries: Any,
        on_status: Any,
        on_confirmed: Any = None,
        sieve: Any = None,
    ) -> Any:
        def passed(deliveries: list[Delivery]) -> None:
            kept = []
            for delivery in deliveries:
                if delivery.sequence in self.lose or stream in self.cut:
                    self.lose.discard(delivery.sequence)
                    self.lost.append(delivery.sequence)
                else:
                    kept.append(delivery)
            if kept or sieve:
                on_deliveries(kept)

        return await self._inner.open_pull(stream, consumer, passed, on_status, on_confirmed, sieve)

    async def create_consumer(self, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        self._reach(stream)
        return await self._inner.create_consumer(stream, config)

    async def stream_info(self, name: str, *, subjects: str = "") -> dict[str, Any] | None:
        self._reach(name)
        return await self._inner.stream_info(name, subjects=subjects)

    async def message(self, stream: str, sequence: int, **options: Any) -> Any:
        self._reach(stream)
        return await self._inner.message(stream, sequence, **options)

    async def last_message(self, stream: str, subject: str, **options: Any) -> Any:
        self._reach(stream)
        return await self._inner.last_message(stream, subject, **options)

    def post(self, subject: str, data: bytes = b"", **options: Any) -> None:
        self.posted.append((subject, data))
        if not self.deaf:
            self._inner.post(subject, data, **options)

    async def subscribe(self, subject: str, handler: Any, **options: Any) -> Subscription:
        def heard(message: Message) -> None:
            if not self.deaf:
                handler(message)

        return await self._inner.subscribe(subject, heard, **options)
