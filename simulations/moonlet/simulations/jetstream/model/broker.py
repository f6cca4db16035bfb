"""Core NATS around the model: connections, subscriptions, queue groups, who is listening. Pure."""

from collections.abc import Callable
from typing import Final

from moonlet.simulations.jetstream.model.model import Model
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.subjects import Patterns, collide
from moonlet.streams.api import Headers, Message

MAX_PAYLOAD: Final = 1_048_576  # bytes, headers included
_SILENT: Final = ("$JS.EVENT.>", "$SYS.>", "$SRV.>")  # subjects on which only servers speak


class _Subscription:
    __slots__ = ("client", "number", "queue", "subject")

    def __init__(self, client: int, number: int, subject: str, queue: str) -> None:
        self.client = client
        self.number = number
        self.subject = subject
        self.queue = queue


class Broker:
    """A server, or a cluster seen as one. `deliver(client, subscription, message)` takes what
    goes out, in order; it must not call back into the broker. Times are in nanoseconds since 1970.
    """

    def __init__(
        self,
        deliver: Callable[[int, int, Message], None],
        *,
        servers: int = 1,
        commit_latency: int = 0,
    ) -> None:
        self._deliver = deliver
        self.model = Model(
            self._route, self._listens, servers=servers, commit_latency=commit_latency
        )
        self._subscriptions: Patterns[_Subscription] = Patterns()
        self._clients: dict[int, dict[int, _Subscription]] = {}
        self._turns: dict[str, int] = {}
        self._last_client = 0

    def connect(self) -> int:
        """A new connection; returns its number."""
        self._last_client += 1
        self._clients[self._last_client] = {}
        return self._last_client

    def disconnect(self, client: int) -> None:
        """The connection is gone, and its subscriptions with it."""
        for number in list(self._clients[client]):
            self.unsubscribe(client, number)
        del self._clients[client]

    def subscribe(self, client: int, number: int, subject: str, queue: str = "") -> None:
        """Deliver what covers `subject` to `client`; of a queue group one member gets each."""
        if subject.startswith("$"):
            for own in _SILENT:
                if collide(subject, own):
                    raise NotSimulated(f"messages on {own}")
        subscription = _Subscription(client, number, subject, queue)
        self._clients[client][number] = subscription
        self._subscriptions.add(subject, subscription)

    def unsubscribe(self, client: int, number: int) -> None:
        """End a subscription; unknown ones are ignored."""
        subscription = self._clients[client].pop(number, None)
        if subscription is not None:
            self._subscriptions.remove(subscription.subject, subscription)

    def publish(
        self, now: int, client: int, subject: str, reply: str, headers: Headers | None, data: bytes
    ) -> None:
        """Take a message from `client`. With a reply and nobody to take it, 503 goes back.

        Raises `NotSimulated` for what the model doesn't cover.
        """
        received = self._route(subject, subject, reply, headers, data)
        received = self.model.receive(now, subject, reply, headers, data) or received
        if not received and reply:
            for number, subscription in self._clients[client].items():
                if subscription in self._subscriptions.matching(reply):
                    headers = {"Status": "503", "Nats-Subject": subject}
                    message = Message(reply, b"", headers, "")
                    self._deliver(client, number, message)
                    break

    def next_event(self) -> int | None:
        """When something happens by itself: then call `advance`. None: never."""
        return self.model.next_event()

    def advance(self, now: int) -> None:
        """Let time pass until `now`."""
        self.model.advance(now)

    def _listens(self, subject: str) -> bool:
        return bool(self._subscriptions.matching(subject))

    def _route(
        self, to: str, subject: str, reply: str, headers: Headers | None, data: bytes
    ) -> bool:
        found = self._subscriptions.matching(to)
        if not found:
            return False
        message = Message(subject, data, headers, reply)
        if len(found) == 1:  # nearly always: whoever asked
            self._deliver(found[0].client, found[0].number, message)
            return True
        groups: dict[str, list[_Subscription]] = {}
        for subscription in found:
            if subscription.queue:
                groups.setdefault(subscription.queue, []).append(subscription)
            else:
                self._deliver(subscription.client, subscription.number, message)
        for queue, members in groups.items():
            turn = self._turns[queue] = self._turns.get(queue, -1) + 1
            member = members[turn % len(members)]
            self._deliver(member.client, member.number, message)
        return True
