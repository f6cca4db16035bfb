"""The world of one run: hosts, clients and a server, and the verbs that hurt them.

Verbs are plain functions and take effect at once. `settle`, `states`, `until` and `advance` are
coroutines. Hosts are named h1 … hn; clients c1, c2, … as they are made.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from moonlet.agents import AgentType, Client
from moonlet.core.commit import Commit
from moonlet.core.errors import InvalidSettings
from moonlet.simulations.bundle.bundle import Bundle
from moonlet.simulations.bundle.opening import continue_from
from moonlet.simulations.checkers.fenced import Fenced
from moonlet.simulations.chronicle.chronicle import Chronicle
from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.faults.plan import Plan
from moonlet.simulations.faults.profile import Profile
from moonlet.simulations.jetstream.server.memory import MemoryServer
from moonlet.simulations.loop.node import Node
from moonlet.simulations.network.network import Rule, SimNetwork
from moonlet.simulations.process.process import ClientProcess, Door, HostProcess
from moonlet.simulations.run.simulation_run import Universe
from moonlet.simulations.seed import Seed
from moonlet.simulations.violations import NotReached, Violation
from moonlet.simulations.workload.workload import Workload
from moonlet.simulations.world.phases import Phases
from moonlet.simulations.world.server_verbs import JetStreamVerbs
from moonlet.streams import Topology

LINGER: Final = "12s"
"""How long the server keeps the connection of a machine that lost its power."""

POLL: Final = 0.05
"""Seconds between two looks at a condition."""

Snapshot = dict[str, Any]
Always = Callable[[Snapshot], object]
Eventually = Callable[[], object]
Way = str


class World:
    """Made by `simulate`, inside a run. `agents` run on every host.

    `history` is what the server holds before the first host starts.
    """

    def __init__(
        self,
        universe: Universe,
        agents: Sequence[AgentType[Any]],
        *,
        hosts: int = 3,
        profile: Profile | None = None,
        plan: Plan | None = None,
        horizon: Duration = "20s",
        heal_within: Duration = "120s",
        lease: int = 2,
        topology: Topology | None = None,
        history: Bundle | None = None,
    ) -> None:
        self.loop = universe.loop
        self.seed: Seed = universe.seed
        self.agents = list(agents)
        self.lease = lease
        self.profile = profile or Profile()
        self.plan = plan or Plan(self.seed, self.profile, ())
        self.horizon_ns = nanoseconds(horizon)
        self.heal_ns = nanoseconds(heal_within)
        replicas = self.profile.servers
        self.topology = topology or Topology(replicas=replicas)
        self.jetstream = JetStreamVerbs(self)
        self.network = SimNetwork(
            self.loop, self.seed, self.plan, self.profile, self.jetstream.gate
        )
        self.server = MemoryServer(
            servers=self.profile.servers,
            commit_latency=self.profile.commit_latency,
            network=self.network,
            epoch=self.loop.epoch_ns,
        )
        self.chronicle = Chronicle(self)
        self.fenced = Fenced(self)
        self.doors: dict[str, Door] = {}
        self.hosts = {f"h{n}": HostProcess(self, f"h{n}") for n in range(1, hosts + 1)}
        self.clients: dict[str, ClientProcess] = {}
        self.violations: list[Violation] = []
        self.checks: list[tuple[str, Always]] = []
        self.goals: list[tuple[str, Eventually]] = []
        self.watchers: list[Callable[[Commit[Any]], None]] = []
        self.phases = Phases(self)
        self.workload = Workload(self)
        if history is not None:
            continue_from(history, self)

    @property
    def patience(self) -> float:
        """Seconds that a client's call waits by default: until everything must have healed."""
        return (self.horizon_ns + self.heal_ns) / 1e9

    @property
    def now(self) -> float:
        """Seconds of virtual time since the run began."""
        return self.loop.now_ns / 1e9

    # what a test uses

    def client(self) -> Client:
        """A client, to use as that of `connect()`: `async with world.client() as moon`."""
        name = f"c{len(self.clients) + 1}"
        self.clients[name] = ClientProcess(self, name)
        return self.clients[name].moon()

    def always(self, name: str, check: Always) -> None:
        """Judge every commit: `check` gets the durable states by agent id.

        It fails by raising `AssertionError` or returning False.
        """
        self.checks.append((name, check))

    def eventually(self, name: str, goal: Eventually) -> None:
        """Judge in the liveness phase: `goal` (it may be async) must become true in time."""
        self.goals.append((name, goal))

    async def settle(self) -> None:
        """Faults stop, what is broken heals, and everything finishes; raises `NotReached`."""
        await self.phases.settle()

    async def states(self, type: str) -> dict[str, Any]:
        """The durable states of a type's agents, key → state, sorted."""
        self.chronicle.look()
        found = self.chronicle.states()
        prefix = f"{type}/"
        return {
            agent.removeprefix(prefix): found[agent]
            for agent in sorted(found)
            if agent.startswith(prefix)
        }

    async def until(
        self, condition: Callable[[], object], timeout: Duration = "60s", what: str = ""
    ) -> None:
        """Wait until `condition()` (it may be async) is true; raises `NotReached`."""
        end = self.loop.now_ns + nanoseconds(timeout)
        while not await _truth(condition):
            if self.loop.now_ns >= end:
                raise NotReached(what or getattr(condition, "__name__", "the condition"), timeout)
            await asyncio.sleep(POLL)

    async def advance(self, time: Duration) -> None:
        """Let that much time pass."""
        await asyncio.sleep(nanoseconds(time) / 1e9)

    # verbs: processes

    def crash(self, host: str, *, linger: Duration = 0) -> None:
        """Kill the process: nothing of it runs again. The server notices after `linger`."""
        process = self._host(host)
        if not process.node.up:
            return
        self.note("crash", host)
        process.node.crash()
        process.host = None
        if process.door is not None:
            self.loop.call_at_ns(
                self.loop.now_ns + nanoseconds(linger),
                self._forget_door,
                process.door.name,
                context=self.loop.outside,
            )

    def power_cut(self, host: str) -> None:
        """As `crash`, but the machine is gone: the server keeps its connection for 12 s."""
        self.crash(host, linger=LINGER)

    def restart(self, host: str) -> None:
        """Start a crashed host again; one that is up is left alone."""
        process = self._host(host)
        if not process.node.up:
            self.note("restart", host)
            process.node.restart()
            process.boot()

    def drain(self, host: str) -> None:
        """SIGTERM: the host hands over and leaves; its supervisor starts it again."""
        self.note("drain", host)
        self._host(host).drain()

    def pause(self, node: str, lasts: Duration | None = None) -> None:
        """Stop the process as SIGSTOP does, until `resume` or for `lasts`."""
        self.note("pause", node)
        self._host(node).node.pause()
        if lasts is not None:
            self._later(lasts, self.resume, node)

    def resume(self, node: str) -> None:
        """Let a paused process go on."""
        process = self._host(node)
        if process.node.up and process.node.life.paused:
            self.note("resume", node)
            process.node.resume()

    def slow(self, node: str, step: Duration) -> None:
        """From now on each step of the process takes so long; 0 ends it."""
        self.note("slow", node)
        self._host(node).node.slow(nanoseconds(step))

    def skew(self, node: str, by: Duration) -> None:
        """Move the node's wall clock by so much."""
        self.note("skew", node, nanoseconds(by))
        self._node(node).skew_ns += nanoseconds(by)

    def drift(self, node: str, ppm: int) -> None:
        """Let the node's clocks gain `ppm` microseconds a second."""
        self.note("drift", node, ppm)
        self._node(node).drift(ppm)

    def forget_agents(self, host: str) -> None:
        """Agents of the host that rest leave memory at once."""
        running = self._host(host).host
        if running is None or not self._host(host).node.up:
            return
        self.note("forget", host)
        for type_, number in running.partitions:
            partition = running.partition(type_, number)
            if partition is not None:
                self._host(host).node.life.context.run(
                    partition.passivate_idle, float("inf"), 1_000_000
                )

    # verbs: the network

    def partition(self, node: str, way: Way = "both", lasts: Duration | None = None) -> None:
        """Let nothing pass between node and server: `way` is both, in or out (as the node sees)."""
        if way not in ("both", "in", "out"):
            raise InvalidSettings(f"way={way!r}: it is 'both', 'in' or 'out'")
        self._node(node)
        self.note("partition", node, way)
        self.network.block(node, incoming=way != "out", outgoing=way != "in")
        if lasts is not None:
            self._later(lasts, self.heal, node)

    def heal(self, node: str | None = None) -> None:
        """End partitions and holds of a node, or of all: a torn connection breaks now."""
        for name in [node] if node is not None else self.network.nodes_in_trouble():
            self.note("heal", name)
            for connection in self.network.unblock(name):
                self._cut(connection)
            self.network.release(name)

    def hold(self, node: str, lasts: Duration | None = None) -> None:
        """Keep what is sent to and from the node, until `release` or for `lasts`."""
        self.note("hold", node)
        self.network.hold(node)
        if lasts is not None:
            self._later(lasts, self.release, node)

    def release(self, node: str) -> None:
        """Let what was held arrive, in order."""
        self.note("release", node)
        self.network.release(node)

    def cut(self, node: str) -> None:
        """Break the node's connection; it connects again by itself."""
        self.note("cut", node)
        for connection, door in list(self.doors.items()):
            if connection.partition(".")[0] == node and door.connected:
                self._cut(connection)

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

    # inside

    def note(self, kind: str, node: str, *facts: str | int | bytes | None) -> None:
        """Write into the trace."""
        self.loop.trace.event(self.loop.now_ns, node, kind, *facts)

    def door(self, connection: str) -> Door | None:
        """A connection by its name, while its process may have it."""
        return self.doors.get(connection)

    def landed(self, commit: Commit[Any]) -> None:
        """A commit is durable: judge it. Called by the chronicle."""
        for watch in self.watchers:
            watch(commit)
        if self.checks:
            snapshot = self.chronicle.states()
            for name, check in self.checks:
                try:
                    if check(snapshot) is False:
                        raise AssertionError("it returned False")
                except AssertionError as error:
                    why = str(error) or "an assertion failed"
                    self.violate(name, f"after {commit.agent} r{commit.revision}: {why}", error)

    def violate(self, promise: str, what: str, cause: AssertionError | None = None) -> None:
        """A promise is broken: end the run here."""
        self.note("violation", "world", promise, what)
        try:
            raise Violation(promise, what, self.loop.now_ns) from cause
        except Violation as violation:  # raised for its traceback, which leads to the world
            self.violations.append(violation)
        self.loop.stop()

    def _host(self, name: str) -> HostProcess:
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
        if connection in self.server._clients:
            self.server.cut(connection)

    def _forget_door(self, connection: str) -> None:
        self.server.detach(connection)
        self.network.forget(connection)
        self.doors.pop(connection, None)


async def _truth(condition: Callable[[], object]) -> bool:
    found = condition()
    if inspect.isawaitable(found):
        waiting: Awaitable[object] = found
        found = await waiting
    return bool(found)
