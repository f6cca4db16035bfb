"""How a world stands at a moment: what is durable, who waits for what, which faults have fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from moonlet.core.digest import state_digest
from moonlet.simulations.durations import shown
from moonlet.simulations.faults import in_lines
from moonlet.simulations.loop import waiting

if TYPE_CHECKING:
    from moonlet.agents import AgentType
    from moonlet.simulations.world.world import World


class AgentStanding(msgspec.Struct, frozen=True):
    """An agent's last commit that landed, and the state after it as plain data."""

    agent: str
    revision: int
    digest: str
    state: Any


class Standing(msgspec.Struct, frozen=True):
    """A world at `at_ns` of its clock, when all that happens until then has happened.

    `undone` are commands and effects that are acknowledged and not done yet, `hosts` says who owns
    what, `waiting` has a line per unfinished task, `faults` are those that fired, in order, and
    `events` is how many were traced. `digest` is that of the run so far, with all that was sent.
    """

    at_ns: int
    phase: str
    agents: list[AgentStanding]
    undone: list[str]
    hosts: list[str]
    waiting: list[str]
    faults: list[str]
    events: int
    digest: str


def standing_of(world: World) -> Standing:
    """Look, and change nothing."""
    types = {agent_type.name: agent_type for agent_type in world.agents}
    agents = [
        AgentStanding(
            agent,
            history.fold.revision,
            state_digest(history.fold.state),
            _plain(types.get(agent.partition("/")[0]), history.fold.state),
        )
        for agent, history in sorted(world.chronicle.histories.items())
    ]
    missed = world.plan.missed
    return Standing(
        at_ns=world.loop.now_ns,
        phase=world.phases.name,
        agents=agents,
        undone=world.phases.undone(),
        hosts=world.phases.busy(),
        waiting=waiting(world.loop.tasks),
        faults=[
            f"{line}{'   hit nothing' if fault in missed else ''}"
            for fault, line in zip(world.plan.hits, in_lines(world.plan.hits), strict=True)
        ],
        events=len(world.loop.trace.events),
        digest=world.loop.trace.digest_now(world.network.digest),
    )


def lines_of(standing: Standing) -> list[str]:
    """For people."""
    lines = [f"at t={shown(standing.at_ns)}, phase {standing.phase}, {standing.events:,} events:"]
    for title, found in (
        ("durable", [_agent(agent) for agent in standing.agents]),
        ("faults so far", [f"{number:2}  {f}" for number, f in enumerate(standing.faults, 1)]),
        ("not done yet", standing.undone),
        ("hosts", standing.hosts),
        ("waiting", standing.waiting),
    ):
        lines += [title, *(f"  {line}" for line in found or ["nothing"])]
    return [*lines, f"digest so far: {standing.digest}"]


def _agent(agent: AgentStanding) -> str:
    state = msgspec.json.encode(agent.state).decode()
    return f"{agent.agent}  revision {agent.revision}  {state}"


def _plain(agent_type: AgentType[Any] | None, state: Any) -> Any:
    """The state as JSON can show it: that of a type that no host runs is unknown."""
    return None if agent_type is None else msgspec.msgpack.decode(agent_type.encode_state(state))
