"""A simulated process: a node with its clocks, its dice, and its connections to the server."""

from __future__ import annotations

import asyncio
import base64
import contextvars
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from moonlet.agents import Client, Host
from moonlet.core.commit import Commit
from moonlet.core.errors import MailboxFull, MoonletError, Unavailable
from moonlet.simulations.jetstream.client.port import MemoryJetStream
from moonlet.simulations.jetstream.server.memory import MemoryServer
from moonlet.simulations.jetstream.server.packets import Packet
from moonlet.simulations.loop.node import Node
from moonlet.simulations.seed import Dice
from moonlet.streams import Bus

if TYPE_CHECKING:
    from moonlet.simulations.world.world import World

START_AGAIN: Final = 0.5
"""Seconds until a supervisor starts a host again that could not start."""

_MANTISSA: Final = 2**53


class NodeClock:
    """See `moonlet.core.ports.Clock`: the node's, with its skew and drift."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def now_us(self) -> int:
        """Microseconds since 1970 as the node believes."""
        return self._node.wall_ns(self._node.loop.now_ns) // 1_000

    def monotonic(self) -> float:
        """Seconds of the node's own clock."""
        return self._node.local_ns(self._node.loop.now_ns) / 1_000_000_000


class NodeEntropy:
    """See `moonlet.core.ports.Entropy`: dice of one life of one node."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice

    def token(self) -> str:
        """22 characters."""
        return base64.urlsafe_b64encode(self._dice.octets(16)).rstrip(b"=").decode()

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return self._dice.below(_MANTISSA) / _MANTISSA


class Door(MemoryJetStream):
    """A connection of a process: it can't come about through a partition, and dies with it."""

    def __init__(
        self,
        server: MemoryServer,
        name: str,
        may_open: Callable[[], bool],
    ) -> None:
        super().__init__(server, name)
        self._may_open = may_open
        self.context = contextvars.copy_context()

    def open(self) -> bool:
        """See `Connection.open`; the server drops an older connection of this name."""
        if not self._may_open():
            return False
        self.server.detach(self.name)
        return super().open()

    def take(self, packet: Packet) -> None:
        """A packet from the server arrives."""
        self._arrive(packet)

    def listener(self, subject: str) -> int | None:
        """The number of the subscription that a reply to `subject` goes to."""
        for number, subscription in self._subscriptions.items():
            wanted = subscription.subject
            if wanted == subject or (
                wanted.endswith(".*") and subject.rpartition(".")[0] == wanted[:-2]
            ):
                return number
        return None


class Process:
    """A node and its connection. Each life has a connection of its own: h1, h1.2, h1.3 …"""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.node = world.loop.node(name)
        self.door: Door | None = None
        self._doors = 0

    async def open_bus(self) -> Bus:
        """Connect; raises `Unavailable`."""
        world = self.world
        self._doors += 1
        name = self.name if self._doors == 1 else f"{self.name}.{self._doors}"
        door = Door(world.server, name, lambda: not world.network.is_blocked(self.name))
        world.network.attach(name, self.name, world.topology.prefix)
        if not door.open():
            raise Unavailable(f"{self.name} reaches no server")
        self.door = world.doors[name] = door
        await door.flush()
        entropy = NodeEntropy(world.seed.dice(f"entropy/{name}"))
        return Bus(door, NodeClock(self.node), entropy, topology=world.topology)

    async def close(self) -> None:
        """Close the connection."""
        if self.door is not None:
            await self.door.close()

    def moon(self) -> Client:
        """A client over this process's connection."""
        return Client(self.open_bus, agents=self.world.agents, close=self.close)


class HostProcess(Process):
    """A process that runs a host, under a supervisor that starts it again."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.host: Host | None = None
        self._draining: asyncio.Event | None = None

    def boot(self) -> None:
        """Start the process; the node is up and empty."""
        self.host = None
        self._draining = None
        self.node.spawn(self._main(), name=f"host {self.name}")

    def drain(self) -> None:
        """SIGTERM: hand over, leave, and be started again."""
        if self.node.up and self._draining is not None:
            self._draining.set()

    async def _main(self) -> None:
        while True:
            try:
                async with self.moon() as moon:
                    host = Host(moon, self.world.agents, lease=self.world.lease)
                    await host.start()
                    self.host, self._draining = host, asyncio.Event()
                    await self._draining.wait()
                    self._draining = None
                    await host.stop()
                    self.host = None
            except MoonletError as error:
                self.host = None
                self.world.note("no start", self.name, str(error))
                if self.door is not None:
                    await self.door.close()
            await asyncio.sleep(START_AGAIN)


class PatientMoon(Client):
    """The client of `connect()`, whose calls wait by default as long as a world may take to heal.

    With 5 s, as real clients have, each test would have to handle `Unknown` while faults last;
    and `MailboxFull` and `Unavailable`, which here lead to another try.
    """

    def __init__(
        self,
        open_bus: Callable[[], Awaitable[Bus]],
        *,
        patience: float,
        agents: Any = (),
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(open_bus, agents=agents, close=close)
        self._patience = patience

    async def __aenter__(self) -> Client:
        while True:
            try:
                return await super().__aenter__()
            except Unavailable:
                await asyncio.sleep(START_AGAIN)

    async def tell(self, agent: str, command: Any, **options: Any) -> Any:
        """See `Client.tell`."""
        return await self._patiently(super().tell, agent, command, options)

    async def ask(self, agent: str, command: Any, **options: Any) -> Any:
        """See `Client.ask`."""
        return await self._patiently(super().ask, agent, command, options)

    async def query(self, agent: str, query: Any, **options: Any) -> Any:
        """See `Client.query`."""
        return await self._patiently(super().query, agent, query, options)

    async def history(
        self, agent: str, from_: int = 1, to: int | None = None, follow: bool = False
    ) -> AsyncGenerator[Commit[Any], None]:
        """See `Client.history`; it goes on behind the last commit that came."""
        until = self.bus.clock.monotonic() + self._patience
        attempt = 0
        while True:
            attempt += 1
            try:
                async with aclosing(super().history(agent, from_, to, follow)) as commits:
                    async for commit in commits:
                        from_ = commit.revision + 1
                        yield commit
                return
            except Unavailable:
                if to is not None and from_ > to:
                    return
                if self.bus.clock.monotonic() >= until:
                    raise
            await self.bus.backoff(attempt)

    async def state(
        self, agent: str, revision: int | None = None, *, time: datetime | None = None
    ) -> Any:
        """See `Client.state`."""
        until = self.bus.clock.monotonic() + self._patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return await super().state(agent, revision, time=time)
            except Unavailable:
                if self.bus.clock.monotonic() >= until:
                    raise
            await self.bus.backoff(attempt)

    async def _patiently(
        self, call: Callable[..., Awaitable[Any]], agent: str, message: Any, options: dict[str, Any]
    ) -> Any:
        if "timeout" in options:
            return await call(agent, message, **options)
        clock = self.bus.clock
        until = clock.monotonic() + self._patience
        attempt = 0
        while True:
            attempt += 1
            left = max(1.0, until - clock.monotonic())
            try:
                return await call(agent, message, timeout=left, **options)
            except (MailboxFull, Unavailable):
                if clock.monotonic() >= until:
                    raise
            await self.bus.backoff(attempt)


class ClientProcess(Process):
    """A client's place in the world: its code is the test's own, so it can't crash."""

    def moon(self) -> Client:
        """The client; as that of `connect()`, but patient."""
        return PatientMoon(
            self.open_bus,
            agents=self.world.agents,
            close=self.close,
            patience=self.world.patience,
        )
