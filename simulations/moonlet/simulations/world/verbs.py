"""The verbs that hurt the processes of a world and the network between them, and that end it.

Each takes effect at once. Hosts are named h1 … hn; clients c1, c2, … as they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from moonlet.agents import AgentType
from moonlet.core.errors import InvalidSettings
from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.loop import Node, SimLoop
from moonlet.simulations.network import Rule, SimConnection, SimNetwork
from moonlet.simulations.process import Blocks, SimClient, SimHost

LINGER: Final = "12s"
"""How long the server keeps the connection of a machine that lost its power."""

Way = str


class Verbs:
    """`hosts` and `clients` by name, `connections` while their processes may have them."""

    blocks: Blocks

    def __init__(
        self,
        loop: SimLoop,
        server: MemoryServer,
        network: SimNetwork,
        connections: dict[str, SimConnection],
    ) -> None:
        self.loop = loop
        self.server = server
        self.network = network
        self.connections = connections
        self.hosts: dict[str, SimHost] = {}
        self.clients: dict[str, SimClient] = {}

    # processes

    def crash(self, host: str, *, linger: Duration = 0) -> None:
        """Kill the process: nothing of it runs again. The server notices after `linger`."""
        process = self._host(host)
        if not process.node.up:
            return
        self.loop.note("crash", host)
        process.node.crash()
        process.host = None
        if process.connection is not None:
            self.loop.call_at_ns(
                self.loop.now_ns + nanoseconds(linger),
                self.forget,
                process.connection.name,
                context=self.loop.outside,
            )

    def power_cut(self, host: str) -> None:
        """As `crash`, but the machine is gone: the server keeps its connection for 12 s."""
        self.crash(host, linger=LINGER)

    def restart(self, host: str) -> None:
        """Start a crashed host again; one that is up is left alone."""
        process = self._host(host)
        if not process.node.up:
            self.loop.note("restart", host)
            process.node.restart()
            process.boot()

    def drain(self, host: str) -> None:
        """SIGTERM: the host hands over and leaves; its supervisor starts it again."""
        self.loop.note("drain", host)
        self._host(host).drain()

    def deploy(self, host: str, agents: Sequence[AgentType[Any]]) -> None:
        """Give a host other code, say an older version's, and start it again with that.

        Types that the world doesn't have are not judged. With a host that is down: once it starts.
        """
        self.loop.note("deploy", host, ", ".join(f"{each.name} {each.version}" for each in agents))
        self._host(host).deploy(agents)

    def pause(self, node: str, lasts: Duration | None = None) -> None:
        """Stop the process as SIGSTOP does, until `resume` or for `lasts`."""
        self.loop.note("pause", node)
        self._host(node).node.pause()
        if lasts is not None:
            self._later(lasts, self.resume, node)

    def resume(self, node: str) -> None:
        """Let a paused process go on."""
        process = self._host(node)
        if process.node.up and process.node.life.paused:
            self.loop.note("resume", node)
            process.node.resume()

    def block(self, host: str, lasts: Duration) -> None:
        """Let the next command that it runs take so long, there and wherever it is run again.

        Over two seconds its process ends, as a real one over its limit.
        """
        self._host(host)
        self.loop.note("arm", host, nanoseconds(lasts))
        self.blocks.arm(host, nanoseconds(lasts))

    def slow(self, node: str, step: Duration) -> None:
        """From now on each step of the process takes so long; 0 ends it."""
        self.loop.note("slow", node)
        self._host(node).node.slow(nanoseconds(step))

    def skew(self, node: str, by: Duration) -> None:
        """Move the node's wall clock by so much, from where it is: skews add up."""
        self.loop.note("skew", node, nanoseconds(by))
        self._node(node).skew_ns += nanoseconds(by)

    def drift(self, node: str, ppm: int) -> None:
        """Let the node's clocks gain `ppm` microseconds a second."""
        self.loop.note("drift", node, ppm)
        self._node(node).drift(ppm)

    def forget_agents(self, host: str) -> None:
        """Agents of the host that rest leave memory at once."""
        running = self._host(host).host
        if running is None or not self._host(host).node.up:
            return
        self.loop.note("forget", host)
        for type_, number in running.partitions:
            partition = running.partition(type_, number)
            if partition is not None:
                self._host(host).node.life.context.run(
                    partition.passivate_idle, float("inf"), 1_000_000
                )

    # the network

    def partition(self, node: str, way: Way = "both", lasts: Duration | None = None) -> None:
        """Let nothing pass between node and server: `way` is both, in or out (as the node sees)."""
        if way not in ("both", "in", "out"):
            raise InvalidSettings(f"way={way!r}: it is 'both', 'in' or 'out'")
        self._node(node)
        self.loop.note("partition", node, way)
        self.network.block(node, incoming=way != "out", outgoing=way != "in")
        if lasts is not None:
            self._later(lasts, self.heal, node)

    def heal(self, node: str | None = None) -> None:
        """End partitions and holds of a node, or of all: a torn connection breaks now."""
        for name in [node] if node is not None else self.network.nodes_in_trouble():
            self.loop.note("heal", name)
            for connection in self.network.unblock(name):
                self._cut(connection)
            self.network.release(name)

    def hold(self, node: str, lasts: Duration | None = None) -> None:
        """Keep what is sent to and from the node, until `release` or for `lasts`."""
        self.loop.note("hold", node)
        self.network.hold(node)
        if lasts is not None:
            self._later(lasts, self.release, node)

    def release(self, node: str) -> None:
        """Let what was held arrive, in order."""
        self.loop.note("release", node)
        self.network.release(node)

    def cut(self, node: str) -> None:
        """Break the node's connection; it connects again by itself."""
        self.loop.note("cut", node)
        for name, connection in list(self.connections.items()):
            if name.partition(".")[0] == node and connection.connected:
                self._cut(name)

    def lose_ack(self, of: str, *, times: int = 1) -> None:
        """Lose the server's next answers to what is about `of`: a node, or an agent's id."""
        self.network.rule(Rule("drop_reply", of, left=times))

    def drop(self, of: str, *, times: int = 1) -> None:
        """Lose the next messages to the server that are about `of`."""
        self.network.rule(Rule("drop_request", of, left=times))

    def duplicate(self, of: str, *, times: int = 1) -> None:
        """Let the next messages to the server about `of` arrive twice."""
        self.network.rule(Rule("duplicate_request", of, left=times))

    def delay(self, of: str, by: Duration, *, times: int = 1) -> None:
        """Let the next messages to the server about `of`, and all behind them, arrive late."""
        self.network.rule(Rule("delay_request", of, left=times, lasts=nanoseconds(by)))

    def forget(self, connection: str) -> None:
        """Let the server notice that the process of that connection is gone."""
        self.server.detach(connection)
        self.network.forget(connection)
        self.connections.pop(connection, None)

    # inside

    def _host(self, name: str) -> SimHost:
        process = self.hosts.get(name)
        if process is None:
            raise InvalidSettings(f"there is no host {name}; there are {', '.join(self.hosts)}")
        return process

    def _node(self, name: str) -> Node:
        if name in self.clients:
            return self.clients[name].node
        return self._host(name).node

    def _later(self, after: Duration, call: Callable[[str], None], name: str) -> None:
        at_ns = self.loop.now_ns + nanoseconds(after)
        self.loop.call_at_ns(at_ns, call, name, context=self.loop.outside)

    def _cut(self, connection: str) -> None:
        if self.server.has(connection):
            self.server.cut(connection)
