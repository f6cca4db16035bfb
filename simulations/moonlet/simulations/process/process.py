"""A simulated process: a node with its clocks, its dice, and its connections to the server."""

from __future__ import annotations

import base64
from typing import Final

from moonlet.agents import Client
from moonlet.core.errors import Unavailable
from moonlet.simulations.loop import Node
from moonlet.simulations.network import SimConnection
from moonlet.simulations.process.surroundings import Surroundings
from moonlet.simulations.seed import Dice
from moonlet.streams import Bus

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


class SimProcess:
    """A node and its connection. Each life has a connection of its own: h1, h1.2, h1.3 …"""

    def __init__(self, around: Surroundings, name: str) -> None:
        self.name = name
        self.node = around.loop.node(name)
        self.connection: SimConnection | None = None
        self._around = around
        self._opened = 0

    @property
    def surroundings(self) -> Surroundings:
        """What it finds around it."""
        return self._around

    async def open_bus(self) -> Bus:
        """Connect; raises `Unavailable`."""
        around = self._around
        self._opened += 1
        name = self.name if self._opened == 1 else f"{self.name}.{self._opened}"
        network = around.network
        connection = SimConnection(around.server, name, lambda: not network.is_blocked(self.name))
        network.attach(name, self.name, around.topology.prefix)
        if not connection.open():
            raise Unavailable(f"{self.name} reaches no server")
        self.connection = around.connections[name] = connection
        await connection.flush()
        entropy = NodeEntropy(around.seed.dice(f"entropy/{name}"))
        clock = NodeClock(self.node)
        return Bus(connection, clock, entropy, topology=around.topology, threads=False)

    async def close(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            await self.connection.close()

    def client(self) -> Client:
        """A client over this process's connection."""
        return Client(self.open_bus, agents=self._around.agents, close=self.close)
