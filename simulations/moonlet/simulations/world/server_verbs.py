"""What happens to the server of a world: `world.jetstream`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from moonlet.simulations.checkers import Fenced
from moonlet.simulations.chronicle import Chronicle
from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.jetstream import MemoryServer, Packet
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.network import SimConnection, SimNetwork
from moonlet.streams.api import Headers, Message

Arrive = Callable[[Packet], None]

ELECTION: Final = "20ms"
"""How long a planned change of leader leaves a stream without one (measured: 18 to 22 ms)."""

LEADS_ON: Final = "1s"
"""How long a leader that slept takes itself for one at most: until the new one's next sign."""

SWALLOWED_ONE_IN: Final = 15
"""Of the publishes during a change of leader, one in so many gets no answer at all (measured)."""

_encode: Final = msgspec.json.Encoder().encode

_FULL: Final = {"code": 503, "err_code": 10077, "description": "maximum bytes exceeded"}
_FAILED: Final = {"code": 503, "err_code": 10023, "description": "insufficient resources"}


class JetStreamVerbs:
    """Directed faults of the server; each takes effect at once. `server` is the server itself."""

    def __init__(
        self,
        loop: SimLoop,
        server: MemoryServer,
        network: SimNetwork,
        connections: Mapping[str, SimConnection],
        chronicle: Chronicle,
        fenced: Fenced,
    ) -> None:
        self.server = server
        self._loop = loop
        self._network = network
        self._connections = connections
        self._chronicle = chronicle
        self._fenced = fenced
        self._model = server.broker.model
        self._replicated = self._model.servers > 1  # then messages are stored later, too
        self._silent_until = 0  # 503 to everything of JetStream
        self._electing = False
        self._slow_until = 0
        self._refusing_until = 0
        self._refusal: dict[str, object] = _FULL
        self._lagging_until = 0
        self._deaf_until = 0  # acknowledgements of deliveries are lost
        self._waiting: list[tuple[Packet, Arrive]] = []

    def change_leader(self, lasts: Duration = ELECTION) -> None:
        """All streams lose their leader for a moment: what it had not replicated is gone."""
        self._fail(lasts)
        self._electing = True
        for stream in self._model.streams.values():
            if stream.replicated:
                stream.intake.restart()
            for consumer in stream.consumers.values():
                consumer.pulls.forget()

    def fail(self, code: int = 503, lasts: Duration = "500ms") -> None:
        """JetStream answers `code` for a while: 503 no responders, 10023 and 10077 to publishes."""
        assert code in (503, 10023, 10077), code
        if code == 503:
            self._fail(lasts)
            return
        self._refusal = _FAILED if code == 10023 else _FULL
        self._refusing_until = self._until(lasts)

    def full(self, lasts: Duration = "500ms") -> None:
        """Refuse for a while what is to be stored: 10077."""
        self.fail(10077, lasts)

    def slow(self, lasts: Duration = "2s") -> None:
        """What is to be stored waits so long; reads go on."""
        self._slow_until = max(self._slow_until, self._until(lasts))
        self._loop.call_at_ns(self._slow_until, self._flush, context=self._loop.outside)

    def forget_acks(self, lasts: Duration = "100ms") -> None:
        """Acknowledgements of deliveries are lost for a while."""
        self._deaf_until = self._until(lasts)

    def forget_ids(self) -> None:
        """The duplicate windows of all streams are over."""
        for stream in self._model.streams.values():
            stream.duplicates.clear()

    def lag(self, lasts: Duration = "2s") -> bool:
        """Replicas fall behind their leaders for so long: what they answer is old.

        False, and nothing happens, where there is but one server.
        """
        if not self.server.running or not self.server.lag():
            return False
        self._lag_until(self._until(lasts))
        return True

    def _lag_until(self, end: int) -> None:
        self._lagging_until = max(self._lagging_until, end)
        self._loop.call_at_ns(self._lagging_until, self._catch_up, context=self._loop.outside)

    def old_leader(self, lasts: Duration = "500ms") -> bool:
        """A server was the leader of all streams, slept, and wakes: for so long it answers as one.

        A second at most, after which it has heard of the new one. False where it is alone.
        """
        if not self.server.running or not self.server.lag(old_leader=True):
            return False
        end = min(self._until(lasts), self._until(LEADS_ON))
        self._lag_until(end)
        self._loop.call_at_ns(end, self.server.step_down, context=self._loop.outside)
        return True

    def revive(self) -> bool:
        """What had run out stands there again, for ever: for a server that is down.

        False if there is nothing of the kind.
        """
        return not self.server.running and bool(self._model.revive())

    def stop(self) -> None:
        """Kill the server: all connections break."""
        if self.server.running:
            self._loop.note("stop", "nats")
            self._waiting.clear()
            self.server.stop()

    def start(self) -> None:
        """Start it again, with what it had stored."""
        if not self.server.running:
            self._loop.note("start", "nats")
            self.server.start()

    def power_loss(self, lose_last: int = 3) -> dict[str, int]:
        """Lose the last messages of every stream, acknowledged or not; how many by stream."""
        self._loop.note("power_loss", "nats")
        self._waiting.clear()
        lost = self.server.power_loss(lose_last)
        self._chronicle.rewind()
        return lost

    def heal(self) -> None:
        """End everything at once."""
        now = self._loop.now_ns
        self._silent_until = self._slow_until = self._refusing_until = self._deaf_until = now
        self._lagging_until = now
        self._catch_up()
        self._flush()
        self.start()

    def _until(self, lasts: Duration) -> int:
        return self._loop.now_ns + nanoseconds(lasts)

    def _fail(self, lasts: Duration) -> None:
        self._electing = False
        self._silent_until = max(self._silent_until, self._until(lasts))

    # packets

    def gate(self, packet: Packet, arrive: Arrive) -> None:
        """A packet reached the server: what becomes of it."""
        message = packet.message
        now = self._loop.now_ns
        if message is not None:
            subject = message.subject
            if now < self._silent_until and self._is_jetstream(subject):
                self._no_responders(packet, message)
                return
            if subject.startswith("$JS.ACK."):
                if now < self._deaf_until:
                    return
                if not message.data:
                    self._chronicle.look()  # what a cluster stored since the last packet
                    tokens = subject.split(".", 6)
                    self._fenced.acknowledged(tokens[2], int(tokens[5]))
            if subject[0] not in "$_" or subject.startswith("$KV."):
                if now < self._slow_until:
                    self._waiting.append((packet, arrive))
                    return
                if now < self._refusing_until and self._is_stored(subject):
                    self._refuse(packet, message)
                    return
            arrive(packet)
            if self._replicated or subject[0] not in "$_":
                self._chronicle.look()
        else:
            arrive(packet)

    def _is_jetstream(self, subject: str) -> bool:
        return subject.startswith("$JS.") or self._is_stored(subject)

    def _is_stored(self, subject: str) -> bool:
        return self._model.stores(subject)

    def _no_responders(self, packet: Packet, message: Message) -> None:
        if self._electing and self._network.packets % SWALLOWED_ONE_IN == 0:
            return
        headers = {"Status": "503", "Nats-Subject": message.subject}
        self._answer(packet, message.reply, b"", headers)

    def _refuse(self, packet: Packet, message: Message) -> None:
        self._answer(packet, message.reply, _encode({"error": self._refusal}), None)

    def _answer(self, packet: Packet, reply: str, data: bytes, headers: Headers | None) -> None:
        connection = self._connections.get(packet.client)
        if connection is None or not reply:
            return
        back = Message(reply, data, headers, "")
        number = connection.listener(reply)
        if number is not None:
            answer = Packet(packet.client, packet.session, False, "message", back, number)
            self._network.carry(answer, connection.take, connection.context)

    def _catch_up(self) -> None:
        if self._loop.now_ns >= self._lagging_until:
            self.server.catch_up()

    def _flush(self) -> None:
        if self._loop.now_ns < self._slow_until:
            return
        waiting, self._waiting = self._waiting, []
        for packet, arrive in waiting:
            self.gate(packet, arrive)
