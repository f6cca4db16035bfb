"""The plan from the streams that are to those that should be, and its carrying out.

A stream's configuration is read, compared and updated as the server's raw JSON. A difference that
we did not ask for is refused, never overwritten: an operator may have meant it.
"""

from typing import Any, Final

import msgspec

from moonlet.core.errors import InvalidSettings
from moonlet.streams.api import JetStream, ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_taken
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


async def apply_topology(bus: Bus, topology: Topology | None = None) -> list[Step]:
    """Carry out the plan; returns it. Raises `InvalidSettings` before anything is changed.

    Two that apply at once are harmless: creating an equal stream is confirmed by the server.
    """
    js, steps = bus._js, await plan_topology(bus, topology)
    refused = [step for step in steps if step.action == "refuse"]
    if refused:
        raise InvalidSettings(
            "; ".join(f"stream {step.stream}: {', '.join(step.differences)}" for step in refused)
            + ": set it back with the `nats` tool, or use another prefix"
        )
    for step in steps:
        if step.action == "create":
            await _create(js, step.config)
        else:
            await js.update_stream(step.config)
    return steps


async def restore_queue(bus: Bus, stream: str) -> bool:
    """Make a queue again that was deleted while hosts run; False if the stream is none.

    What waited in it is gone. A journal is not made: an empty one would pass for a whole one.
    """
    queues = [bus.topology.stream(name) for name in ("mailboxes", "internal", "timers")]
    if stream not in queues:
        return False
    for config in bus.topology.configs():
        if config["name"] == stream:
            await _create(bus._js, config)
    return True


async def _create(js: JetStream, config: dict[str, Any]) -> None:
    try:
        await js.create_stream(config)
    except ServerRefused as error:
        if is_taken(error):
            raise InvalidSettings(
                f"stream {config['name']}: another stream has its subjects already"
                f" ({', '.join(config['subjects'])}): remove it, or use another prefix"
            ) from None
        raise
