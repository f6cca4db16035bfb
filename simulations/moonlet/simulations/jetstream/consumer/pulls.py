"""Pull requests that wait at a consumer."""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.streams.api import Headers

_NOT_SIMULATED: Final = ("max_bytes", "idle_heartbeat", "min_pending", "min_ack_pending", "id")


class PullRequest(msgspec.Struct):
    """The body of a pull request; `expires` in nanoseconds, 0 for never."""

    batch: int = 0
    expires: int = 0
    no_wait: bool = False
    max_bytes: int = 0
    idle_heartbeat: int = 0
    min_pending: int = 0
    min_ack_pending: int = 0
    id: str = ""
    priority: int = 0
    group: str = ""


_decoder: Final = msgspec.json.Decoder(PullRequest)


def read_pull(data: bytes) -> PullRequest | None:
    """The request in `data`, which may also be empty or a bare number; None if it is neither."""
    text = data.strip()
    if not text:
        return PullRequest(batch=1)
    if text[:1] != b"{":
        return PullRequest(batch=int(text) if text.isdigit() else 1)
    try:
        request = _decoder.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    for name in _NOT_SIMULATED:
        if getattr(request, name):
            raise NotSimulated(f"{name} in a pull request")
    return request


def status(code: int, description: str, missing: int | None = None) -> dict[str, str]:
    """The headers of a status message."""
    headers = {"Status": str(code), "Description": description}
    if missing is not None:
        headers["Nats-Pending-Messages"] = str(missing)
        headers["Nats-Pending-Bytes"] = "0"
    return headers


class WaitingPull:
    """One pull request that waits: `missing` more messages, until `expires` (0: for ever).

    `in_flight`: what was delivered to it is still being replicated.
    """

    __slots__ = ("delivered", "expires", "in_flight", "missing", "no_wait", "reply")

    def __init__(self, reply: str, missing: int, expires: int, no_wait: bool) -> None:
        self.reply = reply
        self.missing = missing
        self.expires = expires
        self.no_wait = no_wait
        self.delivered = 0
        self.in_flight = False


class Pulls:
    """The requests that wait at one consumer; each delivery goes to the next in turn."""

    def __init__(
        self,
        limit: int,
        listens: Callable[[str], bool],
        tell: Callable[[str, Headers], None],
    ) -> None:
        self.limit = limit
        self.last_activity = 0
        self._listens = listens
        self._tell = tell
        self._queue: deque[WaitingPull] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, now: int, waiting: WaitingPull) -> bool:
        """Put at the end; over the limit the request is refused with 409. Says which."""
        if len(self._queue) >= self.limit:
            self._tell(waiting.reply, status(409, "Exceeded MaxWaiting"))
            return False
        self._queue.append(waiting)
        self.last_activity = now
        return True

    def next(self, now: int) -> WaitingPull | None:
        """Whom the next delivery goes to; the delivery is counted. None if nobody is left."""
        queue = self._queue
        while queue:
            waiting = queue[0]
            if waiting.expires and now >= waiting.expires:
                self._expire(queue.popleft())
            elif not self._listens(waiting.reply):
                queue.popleft()
            else:
                waiting.delivered += 1
                waiting.missing -= 1
                if waiting.missing <= 0:
                    queue.popleft()
                elif len(queue) > 1:
                    queue.rotate(-1)
                return waiting
        return None

    def sweep(self, now: int, *, at_end: bool) -> int:
        """Drop the requests that are over; returns how many messages the rest still wants.

        `at_end`: there is nothing to deliver, so requests that don't wait are answered.
        """
        wanted = 0
        kept: deque[WaitingPull] = deque()
        for waiting in self._queue:
            if waiting.expires and now >= waiting.expires:
                self._expire(waiting)
            elif at_end and waiting.no_wait and waiting.in_flight:
                self._expire(waiting)  # a cluster puts the end off, and then forgets why
            elif at_end and waiting.no_wait and (not waiting.expires or waiting.delivered):
                self._tell(waiting.reply, status(404, "No Messages"))
                self.last_activity = max(self.last_activity, now)
            elif self._listens(waiting.reply):
                waiting.in_flight = False
                kept.append(waiting)
                wanted += waiting.missing
        self._queue = kept
        return wanted

    def next_expiry(self) -> int | None:
        """When the next request expires; None if none does."""
        return min((w.expires for w in self._queue if w.expires), default=None)

    def end(self, code: int, description: str) -> None:
        """Answer all with a status and forget them."""
        for waiting in self._queue:
            self._tell(waiting.reply, status(code, description))
        self._queue.clear()

    def forget(self) -> None:
        """Forget all without a word, as a restart does."""
        self._queue.clear()

    def _expire(self, waiting: WaitingPull) -> None:
        self._tell(waiting.reply, status(408, "Request Timeout", waiting.missing))
        self.last_activity = max(self.last_activity, waiting.expires)
