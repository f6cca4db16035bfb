"""`topology show`, `plan` and `apply`: the only way to change what the first host was told.

And `accept-loss`, for a journal that is not what it was.
"""

from typing import Annotated, Any

import msgspec
import typer

from moonlet.console.common import (
    ExitCode,
    Internal,
    Journals,
    Mailbox,
    Options,
    Replicas,
    asked_topology,
    command,
    opened,
    table,
)
from moonlet.core.errors import InvalidSettings
from moonlet.streams import (
    Bus,
    Step,
    Topology,
    apply_topology,
    plan_topology,
    refuse_moves,
    replication_of,
    stored_topology,
)
from moonlet.streams import accept_loss as accept

topology_app = typer.Typer(
    name="topology",
    help="Journals, replicas and sizes: what was asked for, and the only way to change it.",
    no_args_is_help=True,
)


@topology_app.command()
@command
async def show(options: Options) -> None:
    """Print what was asked for, and how the streams stand."""
    async with opened(options) as session:
        bus = session.moon.bus
        stored = await stored_topology(bus)
        standing = {
            config["name"]: await replication_of(bus, config["name"])
            for config in bus.topology.configs()
        }
    topology = bus.topology
    streams = {name: found for name, found in standing.items() if found is not None}
    record = {
        "stored": stored is not None,
        **msgspec.to_builtins(topology),
        "streams": msgspec.to_builtins(streams),
    }
    options.output.result(record, "\n".join([*_settings(topology), "", *_standing(streams)]))
    if not streams:
        options.output.remark("nothing stands here yet: the first host makes it")
    elif stored is None:
        options.output.remark("read from the streams: no host that stores it was here yet")


def _settings(topology: Topology) -> list[str]:
    rows = [
        ("prefix", topology.prefix),
        ("replicas", str(topology.replicas)),
        ("mailbox", f"{topology.mailbox:,} commands of an agent and lane"),
        ("internal", f"{topology.internal:,} messages of all agents"),
    ]
    rows += [(f"journal {name}", ", ".join(types)) for name, types in topology.journals.items()]
    return table(rows)


def _standing(streams: dict[str, Any]) -> list[str]:
    rows = [("STREAM", "REPLICAS", "HERE", "GONE OR BEHIND")]
    for name, found in streams.items():
        rows.append((name, str(found.asked), str(found.alive), ", ".join(found.missing)))
    return table(rows, right=(1, 2)) if streams else []


@topology_app.command()
@command
async def plan(
    options: Options,
    replicas: Replicas = None,
    mailbox: Mailbox = None,
    internal: Internal = None,
    journal: Journals = None,
) -> int:
    """Print what `apply` with the same options would do. Changes nothing."""
    async with opened(options) as session:
        bus = session.moon.bus
        wanted = asked_topology(bus.topology, replicas, mailbox, internal, journal)
        await refuse_moves(bus, bus.topology, wanted)
        steps = await plan_topology(bus, wanted)
    _tell(options, steps, "would be ")
    return ExitCode.FOUND if any(step.action == "refuse" for step in steps) else ExitCode.OK


@topology_app.command()
@command
async def apply(
    options: Options,
    replicas: Replicas = None,
    mailbox: Mailbox = None,
    internal: Internal = None,
    journal: Journals = None,
) -> None:
    """Store what is asked for, and bring the streams to it; what isn't given stays as it is."""
    async with opened(options) as session:
        bus: Bus = session.moon.bus
        wanted = asked_topology(bus.topology, replicas, mailbox, internal, journal)
        steps = await apply_topology(bus, wanted)
    _tell(options, steps, "")


@topology_app.command("accept-loss")
@command
async def accept_loss(
    options: Options,
    journal: Annotated[str, typer.Argument(help="The journal, or its stream.", metavar="JOURNAL")],
) -> None:
    """Take a journal that was deleted or restored older as it stands: what is missing is lost."""
    async with opened(options) as session:
        bus = session.moon.bus
        streams = {bus.topology.journal_stream(name): name for name in bus.topology.journals}
        stream = next((s for s, name in streams.items() if journal in (s, name)), None)
        if stream is None:
            raise InvalidSettings(
                f"there is no journal {journal}; there are: {', '.join(bus.topology.journals)}"
            )
        mark = await accept(bus, stream)
    record = {"stream": stream, "epoch": mark.epoch, "sequence": mark.sequence}
    said = f"{stream} is taken as it stands, {mark.sequence:,} commits; its epoch is {mark.epoch}"
    options.output.result(record, said)


_DONE = {"create": "made", "update": "changed", "refuse": "refused"}


def _tell(options: Options, steps: list[Step], tense: str) -> None:
    for step in steps:
        told = f": {', '.join(step.differences)}" if step.differences else ""
        record = {"stream": step.stream, "action": step.action, "differences": step.differences}
        options.output.result(record, f"{step.stream} {tense}{_DONE[step.action]}{told}")
    if not steps:
        options.output.remark("the streams are as they should be")
