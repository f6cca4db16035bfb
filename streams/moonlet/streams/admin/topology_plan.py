"""The plan from the streams that are to those that should be, and its carrying out.

A stream's configuration is read, compared and updated as the server's raw JSON. A difference that
we did not ask for is refused, never overwritten: an operator may have meant it.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from moonlet.core.errors import InvalidSettings, UnknownAgentType
from moonlet.streams.api import ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_taken, no_room
from moonlet.streams.topology import Topology


class Step(msgspec.Struct, frozen=True):
    """One step of a plan. `create` and `update` carry the whole configuration to send."""

    stream: str
    action: str
    config: dict[str, Any] = {}
    differences: tuple[str, ...] = ()


GROWING: Final = frozenset({"subjects", "max_msgs_per_subject", "max_msgs", "num_replicas"})
"""The settings that a newer topology may change on a stream that exists."""


async def plan_topology(bus: Bus, topology: Topology | None = None) -> list[Step]:
    """What must be done; nothing is changed. `refuse` marks differences nobody asked for.

    Without a topology: for that of the bus.
    """
    topology = topology or bus.topology
    steps: list[Step] = []
    for wanted in topology.configs():
        info = await bus._js.stream_info(wanted["name"])
        if info is None:
            steps.append(Step(wanted["name"], "create", wanted))
            continue
        found: dict[str, Any] = info["config"]
        different = {key for key, value in wanted.items() if not _equal(found.get(key), value)} | {
            key for key in _PROTECTED if key not in wanted and found.get(key)
        }
        if not different:
            continue
        told = tuple(
            f"{key} is {found.get(key)!r}, not {wanted.get(key)!r}" for key in sorted(different)
        )
        action = "update" if different <= GROWING else "refuse"
        merged = {**found, **{key: wanted[key] for key in different if key in wanted}}
        steps.append(Step(wanted["name"], action, merged, told))
    return steps


_PROTECTED: Final = frozenset(
    {
        "allow_msg_ttl",
        "allow_rollup_hdrs",
        "allow_msg_schedules",
        "max_age",
        "sealed",
        "mirror",
        "sources",
        "subject_transform",
    }
)
"""Settings that would change what a stream promises, so their presence is a difference."""


def _equal(found: Any, wanted: Any) -> bool:
    return found == wanted or (not found and not wanted)


async def carry_out(bus: Bus, steps: Sequence[Step], *, only: str = "") -> None:
    """Do what the steps say, all or `only` that of one stream; refused ones refuse all.

    Streams that stand are changed before others are made: these may take over their subjects.
    """
    refused = [step for step in steps if step.action == "refuse"]
    if refused:
        raise InvalidSettings(
            "; ".join(f"stream {step.stream}: {', '.join(step.differences)}" for step in refused)
            + ": set it back with the `nats` tool, or use another prefix"
        )
    # What the account may have no room for comes first: then nothing is left half made.
    for step in sorted(steps, key=lambda step: (step.action == "create", -_reserved(step.config))):
        if only not in ("", step.stream):
            continue
        if step.action == "create":
            await create_stream(bus, step.config)
        else:
            await _update(bus, step)


def _reserved(config: dict[str, Any]) -> int:
    """The bytes that the server keeps free for it, and must have from the beginning."""
    return int(config.get("max_bytes") or 0)


async def _update(bus: Bus, step: Step) -> None:
    try:
        await bus._js.update_stream(step.config)
    except ServerRefused as error:
        raise InvalidSettings(
            f"stream {step.stream} can't be changed ({', '.join(step.differences)}):"
            f" {error.description}; ask for what this server can do"
        ) from None


async def refuse_moves(bus: Bus, before: Topology, wanted: Topology) -> None:
    """Raise `InvalidSettings` if an agent type would change its journal: a history can't move."""
    for journal in before.journals:
        stream = before.journal_stream(journal)
        if await bus._js.stream_info(stream) is None:
            continue
        subjects = await bus._js.stream_subjects(stream, ">")
        agents = (bus.subjects.journal_agent(subject) for subject in subjects)
        for type_ in sorted({agent.type for agent in agents if agent is not None}):
            if _home_of(wanted, type_) != stream:
                raise InvalidSettings(
                    f"agents of type {type_} have their history in {stream}, and a history can't"
                    f" move: leave {type_} in the journal {journal}"
                )


def _home_of(topology: Topology, type_: str) -> str:
    try:
        return topology.journal_of(type_)
    except UnknownAgentType:
        return ""


async def create_stream(bus: Bus, config: dict[str, Any]) -> None:
    """Make a stream, or confirm an equal one.

    Raises `InvalidSettings` if it can't be made, `LimitExceeded` if the account has no room for it.
    """
    try:
        await bus._js.create_stream(config)
    except ServerRefused as error:
        if is_taken(error):
            raise InvalidSettings(
                f"stream {config['name']}: another stream has its subjects already"
                f" ({', '.join(config['subjects'])}): remove it, or use another prefix"
            ) from None
        raise no_room(error, config) from None
