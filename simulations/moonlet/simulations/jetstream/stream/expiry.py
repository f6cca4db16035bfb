"""Messages that leave a stream with time: per-message TTL and the stream's maximum age."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.store import StreamMessage
from moonlet.simulations.jetstream.stream.state import StreamState

ENDED_MAX: Final = 16
"""Messages that ran out of which is remembered that they stood there."""


class Expiry:
    """Looks at most every 250 ms, as the server, so a message may outlive its time by that.

    `remove(now, sequence)` is the stream's.
    """

    def __init__(self, stream: StreamState, remove: Callable[[int, int], bool]) -> None:
        self._stream = stream
        self._remove = remove
        self._due: list[tuple[int, int]] = []
        self.ended: dict[str, StreamMessage] = {}
        """The last few that ran out, by subject: a server that is stopped and then killed at the
        wrong moments finds them again, and forgets that they should end (its log: "TTL state is
        outdated")."""
        self._alarm = stream.context.alarms.new(self._expire)

    def added(self, now: int, message: StreamMessage) -> None:
        """The stream stored `message`, which will leave it with time."""
        if message.expiry:
            heappush(self._due, (message.expiry, message.sequence))
        self._alarm.pace(now, self._next())

    def recover(self, now: int) -> None:
        """Build anew from what is stored: after a restart or another configuration."""
        messages = self._stream.store.messages.values()
        self._due = sorted((m.expiry, m.sequence) for m in messages if m.expiry)
        self._alarm.stop()
        self._alarm.pace(now, self._next())

    def overdue(self, now: int) -> None:
        """Remove at once what is over."""
        self._expire(now)

    def stop(self) -> None:
        """The stream is gone."""
        self._alarm.stop()

    def _next(self) -> int | None:
        messages = self._stream.store.messages
        due = self._due
        while due and due[0][1] not in messages:
            heappop(due)
        times = [due[0][0]] if due else []
        age = self._stream.config.max_age
        oldest = self._oldest() if age else None
        if oldest is not None:
            times.append(oldest.time + age)
        return min(times, default=None)

    def _oldest(self) -> StreamMessage | None:
        """The oldest message that the maximum age applies to."""
        for message in self._stream.store.messages.values():
            if not message.headers or message.headers.get(fields.TTL, "").lower() != "never":
                return message
        return None

    def _expire(self, now: int) -> None:
        age = self._stream.config.max_age
        if age:
            while (oldest := self._oldest()) is not None and oldest.time + age <= now:
                self._remove(now, oldest.sequence)
        while self._due and self._due[0][0] <= now:
            sequence = heappop(self._due)[1]
            message = self._stream.store.messages.get(sequence)
            if message is not None and self._remove(now, sequence):
                self.ended[message.subject] = message
                if len(self.ended) > ENDED_MAX:
                    del self.ended[next(iter(self.ended))]
        self._alarm.pace(now, self._next())
