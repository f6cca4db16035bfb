"""A connection to a replica that lags: what any replica answers, it answers as of a while ago."""

from typing import Any

from moonlet.streams import JetStream
from moonlet.streams.api import StoredMessage
from tests.faulty import FaultyJetStream


class LaggingJetStream(FaultyJetStream):
    """Over any other. What a stream holds behind its sequence of `lag` only its leader gives.

    A consumer of a history breaks there, as one does whose server knows nothing of it yet.
    """

    def __init__(self, inner: JetStream) -> None:
        super().__init__(inner)
        self._ends: dict[str, int] = {}
        self.late = 0
        """How many reads got less than there was."""

    async def lag(self, stream: str) -> None:
        """From now on its replicas get nothing new."""
        info = await self.inner.stream_info(stream)
        assert info is not None
        self._ends[stream] = int(info["state"]["last_seq"])

    async def read_batch(
        self, stream: str, subject: str, **more: Any
    ) -> tuple[list[StoredMessage], int]:
        """As the replica has it; it knows nothing of there being more."""
        page, left = await self.inner.read_batch(stream, subject, **more)
        end = self._ends.get(stream)
        if end is None:
            return page, left
        known = [message for message in page if message.sequence <= end]
        if len(known) < len(page) or left:
            self.late += 1
        return known, 0 if len(known) < len(page) else left

    async def replica_message(
        self, stream: str, sequence: int, **more: Any
    ) -> StoredMessage | None:
        """As the replica has it."""
        end = self._ends.get(stream)
        if end is not None and sequence > end:
            self.late += 1
            return None
        return await self.inner.replica_message(stream, sequence, **more)

    async def open_pull(self, stream: str, *rest: Any, **more: Any) -> Any:
        """Deliveries up to where it lags; a gap in their numbers follows."""
        end = self._ends.get(stream)
        self.delivering = lambda delivery: end is None or delivery.sequence <= end
        return await super().open_pull(stream, *rest, **more)
