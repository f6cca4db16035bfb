"""What a process finds around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from moonlet.agents import AgentType, Running
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.network import SimConnection, SimNetwork
from moonlet.simulations.seed import Seed
from moonlet.streams import Topology


class ReadsJudge(Protocol):
    """Judges what clients read."""

    def begins(self, agent: str, seen: int) -> tuple[int, int]:
        """A history is asked for: how many commits the agent has, and up to sequence `seen`."""
        ...

    def came(self, agent: str, expected: int, revision: int) -> None:
        """A commit of it came."""
        ...

    def ended(self, agent: str, last: int, had: tuple[int, int], to: int | None) -> None:
        """It ended behind revision `last`, `to` at most, and began when there was what it `had`."""
        ...


class LongSteps(Protocol):
    """Who decides which steps of a host take long."""

    def running(self, process: Any) -> Running:
        """What a host is to put its work into."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """The same for all processes of a world.

    `connections` by their names, while their processes may have them. `lease` is the hosts', in
    seconds; `patience` is how many seconds a client's call waits by default.
    """

    loop: SimLoop
    seed: Seed
    server: MemoryServer
    network: SimNetwork
    topology: Topology
    agents: Sequence[AgentType[Any]]
    connections: dict[str, SimConnection]
    lease: int
    patience: float
    reads: ReadsJudge
    long_steps: LongSteps
