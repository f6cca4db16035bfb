"""The world of one run: hosts, clients and a server, and the verbs that hurt them.

Verbs are plain functions and take effect at once. `settle`, `states`, `until` and `advance` are
coroutines. Hosts are named h1 … hn; clients c1, c2, … as they are made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from moonlet.agents import AgentType, Client
from moonlet.core.commit import Commit
from moonlet.simulations.bundle import Bundle
from moonlet.simulations.checkers import Fenced, Reads
from moonlet.simulations.chronicle import Chronicle
from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.faults import Plan, Profile
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.network import SimNetwork
from moonlet.simulations.process import Blocks, SimClient, SimHost, Surroundings
from moonlet.simulations.run import SimulationRun
from moonlet.simulations.seed import Seed
from moonlet.simulations.violations import Violation
from moonlet.simulations.workload import Workload
from moonlet.simulations.world.history import bundle_of, continue_from
from moonlet.simulations.world.phases import Phases
from moonlet.simulations.world.server_verbs import JetStreamVerbs
from moonlet.simulations.world.vandal import Vandal
from moonlet.simulations.world.verbs import Verbs
from moonlet.simulations.world.waiting import until
from moonlet.streams import Topology

Snapshot = dict[str, Any]
Always = Callable[[Snapshot], object]
Eventually = Callable[[], object]


class World(Verbs):
    """Made by `simulate`, inside a run. `agents` run on every host.

    `history` is what the server holds before the first host starts.
    """

    def __init__(
        self,
        simulation: SimulationRun,
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
        loop, seed = simulation.loop, simulation.seed
        self.seed: Seed = seed
        self.agents = list(agents)
        self.lease = lease
        self.profile = profile or Profile()
        self.plan = plan or Plan(seed, self.profile, ())
        servers = self.profile.servers
        self.topology = topology or Topology(replicas=servers)
        horizon_ns, heal_ns = nanoseconds(horizon), nanoseconds(heal_within)
        network = SimNetwork(loop, seed, self.plan, self.profile)
        server = MemoryServer(
            servers=servers,
            commit_latency=self.profile.commit_latency,
            network=network,
            epoch=loop.epoch_ns,
        )
        super().__init__(loop, server, network, connections={})
        model = server.broker.model
        self.chronicle = Chronicle(loop, model, self.topology, self.agents, self._landed)
        fenced = Fenced(self.chronicle, self.violate)
        self.blocks = Blocks(self.crash, self.restart, self.violate)
        self.around = Surroundings(
            loop,
            seed,
            server,
            network,
            self.topology,
            self.agents,
            self.connections,
            lease=lease,
            patience=(horizon_ns + heal_ns) / 1e9,  # until everything must have healed
            reads=Reads(self.chronicle, lambda: model.old_leaders > 0, self.violate),
            long_steps=self.blocks,
        )
        self.jetstream = JetStreamVerbs(
            loop, server, network, self.connections, self.chronicle, fenced
        )
        network.gate = self.jetstream.gate
        self.vandal = Vandal(loop, server, self.topology, self.chronicle)
        self.hosts |= {name: SimHost(self.around, name) for name in _names("h", hosts)}
        self.violations: list[Violation] = []
        self.checks: list[tuple[str, Always]] = []
        self.watchers: list[Callable[[Commit[Any]], None]] = []
        self.phases = Phases(
            self,
            self.jetstream,
            self.chronicle,
            self.plan,
            self.agents,
            self._core,
            horizon_ns=horizon_ns,
            heal_ns=heal_ns,
        )
        self.workload = Workload(self.agents, seed.dice("workload"), self.profile.commands)
        if history is not None:
            continue_from(history, loop, server, self.chronicle)

    @property
    def now(self) -> float:
        """Seconds of virtual time since the run began."""
        return self.loop.now_ns / 1e9

    def held(self) -> Bundle:
        """What the server holds now."""
        return bundle_of(self.around.server, self.topology)

    # what a test uses

    def client(self) -> Client:
        """A client, to use as that of `connect()`: `async with world.client() as moon`."""
        name = f"c{len(self.clients) + 1}"
        self.clients[name] = SimClient(self.around, name)
        return self.clients[name].client()

    def always(self, name: str, check: Always) -> None:
        """Judge every commit: `check` gets the durable states by agent id.

        It fails by raising `AssertionError` or returning False.
        """
        self.checks.append((name, check))

    def eventually(self, name: str, goal: Eventually) -> None:
        """Judge in the liveness phase: `goal` (it may be async) must become true in time."""
        self.phases.goals.append((name, goal))

    async def settle(self) -> dict[str, float]:
        """Faults stop, what is broken heals, and everything finishes; raises `NotReached`.

        But timers that are not due yet: returns `AGENT NAME` → seconds until it fires, the next
        first. What they would do was not seen; `advance` past them to see it.
        """
        return await self.phases.settle()

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
        await until(self.loop, condition, timeout, what)

    async def advance(self, time: Duration) -> None:
        """Let that much time pass."""
        await asyncio.sleep(nanoseconds(time) / 1e9)

    # inside

    def note(self, kind: str, node: str, *facts: str | int | bytes | None) -> None:
        """Write into the trace."""
        self.loop.note(kind, node, *facts)

    def _landed(self, commit: Commit[Any]) -> None:
        """A commit is durable: judge it."""
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

    def _core(self, hosts: list[str]) -> list[str]:
        """The hosts that come back when faults end."""
        core = self.profile.core
        return self.seed.dice("core").sample(hosts, core) if core else hosts


def _names(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(1, count + 1)]
