"""`MemoryServer`: the model as a server inside the process, on whatever asyncio loop runs."""

import asyncio
import contextvars
from collections.abc import Callable

from moonlet.simulations.jetstream.configs import VERSION
from moonlet.simulations.jetstream.model import MAX_PAYLOAD, Broker
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.server.machine import Machine
from moonlet.simulations.jetstream.server.packets import FairNetwork, Network, Packet
from moonlet.streams.api import Message

EPOCH = 1_700_000_000_000_000_000  # ns since 1970: 14 November 2023, 22:13:20 UTC


class _Client:
    """A connection as the server sees it. What is for it happens in the context it came from."""

    def __init__(
        self, number: int, session: int, arrive: Callable[[Packet], None], lost: Callable[[], None]
    ) -> None:
        self.number = number
        self.session = session
        self.arrive = arrive
        self.lost = lost
        self.context = contextvars.copy_context()


class MemoryServer:
    """Several clients may be connected; all use the running loop, whose clock is the server's.

    In a run the server is a machine of its own: it goes by the world's clock and its steps belong
    to no node, while what is for a client belongs to the node that connected, and ends with it.
    `epoch` is the time of day, in nanoseconds since 1970, at which the server is made.
    `servers` (1 or 3) chooses the rules of one server or of a cluster; `commit_latency` (ns) is
    how long a replicated stream takes to store. Every packet goes through `network`.
    """

    def __init__(
        self,
        *,
        servers: int = 1,
        epoch: int = EPOCH,
        commit_latency: int = 0,
        max_payload: int = MAX_PAYLOAD,
        network: Network | None = None,
    ) -> None:
        self._machine = Machine(asyncio.get_running_loop())
        self._epoch = epoch - self._machine.now_ns()
        self._latest = epoch
        self._last_name = 0
        self.max_payload = max_payload
        self.version = VERSION
        self.network: Network = network if network is not None else FairNetwork()
        self.running = True
        self.broker = Broker(self._deliver, servers=servers, commit_latency=commit_latency)
        self._clients: dict[str, _Client] = {}
        self._names: dict[int, str] = {}
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at: int | None = None

    def now(self) -> int:
        """The server's time in nanoseconds since 1970; it never goes back."""
        now = self._epoch + self._machine.now_ns()
        if now > self._latest:
            self._latest = now
        return self._latest

    def carry(self, packet: Packet) -> None:
        """Send a packet from a client to this server, through the network."""
        self.network.carry(packet, self.arrive, self._machine.context)

    def new_name(self) -> str:
        """A name for the next connection: c1, c2, …"""
        self._last_name += 1
        return f"c{self._last_name}"

    # connections

    def attach(
        self, name: str, session: int, arrive: Callable[[Packet], None], lost: Callable[[], None]
    ) -> bool:
        """Connect the client `name`; False if the server is down.

        `arrive` gets what is for the client, `lost` is called when the server ends the
        connection: both later, as steps of the context that connects now.
        """
        if not self.running:
            return False
        assert name not in self._clients, f"{name} is already connected"
        number = self.broker.connect()
        self._clients[name] = _Client(number, session, arrive, lost)
        self._names[number] = name
        return True

    def has(self, name: str) -> bool:
        """Whether the client `name` is connected."""
        return name in self._clients

    def detach(self, name: str) -> None:
        """The client `name` left; its subscriptions are gone. Unknown names are ignored."""
        client = self._clients.pop(name, None)
        if client is not None:
            del self._names[client.number]
            self.broker.disconnect(client.number)

    def cut(self, name: str) -> None:
        """Cut the connection of the client `name`: what is on its way is lost."""
        client = self._clients[name]
        self.detach(name)
        self._machine.soon(client.lost, client.context)

    # faults

    def stop(self) -> None:
        """Stop the server: all connections end, and nobody can connect."""
        self.running = False
        for name in list(self._clients):
            self.cut(name)
        self._cancel()

    def start(self) -> None:
        """Start a stopped server with what it had stored; clients connect again by themselves."""
        assert not self.running
        self.running = True
        self.broker.model.restart(self.now())
        self._plan()

    def restart(self) -> None:
        """Stop and start at once."""
        self.stop()
        self.start()

    def lag(self, *, old_leader: bool = False) -> bool:
        """Let replicas fall behind their leaders, until `catch_up`; False if there are none.

        With `old_leader` one of them answers as the leader, until then or `step_down`.
        """
        return self.broker.model.lag(self.now(), old_leader=old_leader)

    def step_down(self) -> None:
        """The old leader learns that it is none."""
        self.broker.model.step_down()

    def catch_up(self) -> None:
        """End that."""
        if self.running:
            self.broker.model.catch_up(self.now())
            self._plan()

    def power_loss(self, lose_last: int) -> dict[str, int]:
        """Lose the last `lose_last` sequences of every stream, then restart.

        Returns how many messages each stream lost.
        """
        self.stop()
        self.running = True
        lost = self.broker.model.power_loss(self.now(), lose_last)
        self._plan()
        return lost

    # packets

    def arrive(self, packet: Packet) -> None:
        """Take a packet from a client; one of a connection that ended is void.

        What the model doesn't cover goes back to the sender as the exception's text in a message
        with status 501, so that the call that asked for it can raise it.
        """
        client = self._clients.get(packet.client)
        if client is None or client.session != packet.session:
            return
        try:
            self._handle(packet, client.number)
        except NotSimulated as error:
            reply = packet.message.reply if packet.message is not None else ""
            refusal = Message(reply, error.feature.encode(), {"Status": "501"}, "")
            self._back(packet.client, client, packet.number, refusal)
        self._plan()

    def _handle(self, packet: Packet, number: int) -> None:
        message = packet.message
        if message is not None:
            self.broker.publish(
                self.now(), number, message.subject, message.reply, message.headers, message.data
            )
        elif packet.kind == "subscribe":
            self.broker.subscribe(number, packet.number, packet.subject, packet.queue)
        elif packet.kind == "unsubscribe":
            self.broker.unsubscribe(number, packet.number)
        else:
            assert packet.kind == "ping"
            client = self._clients[packet.client]
            pong = Packet(packet.client, client.session, False, "pong", number=packet.number)
            self.network.carry(pong, client.arrive, client.context)

    def _deliver(self, number: int, subscription: int, message: Message) -> None:
        name = self._names[number]
        self._back(name, self._clients[name], subscription, message)

    def _back(self, name: str, client: _Client, subscription: int, message: Message) -> None:
        packet = Packet(name, client.session, False, "message", message, subscription)
        self.network.carry(packet, client.arrive, client.context)

    # time

    def _plan(self) -> None:
        at = self.broker.next_event() if self.running else None
        if at == self._wake_at:
            return
        self._cancel()
        if at is not None:
            self._wake_at = at
            self._wake = self._machine.at(at - self._epoch, self._on_wake)

    def _on_wake(self) -> None:
        # The loop's clock may be a rounding error short of the time that was asked for.
        self._latest = max(self._latest, self._wake_at or 0)
        self._wake, self._wake_at = None, None
        self.broker.advance(self.now())
        self._plan()

    def _cancel(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake, self._wake_at = None, None
