"""`blame`, `bisect` and `compare`: by which commit something is as it is, and where runs part."""

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.console.common import (
    ExitCode,
    Modules,
    Options,
    command,
    command_without,
    compact,
    find,
    table,
)
from moonlet.console.replay.histories import Agent
from moonlet.console.replay.indexing import timeline_of
from moonlet.console.replay.opening import BundleFile, PointArgument, code_of, reading
from moonlet.console.replay.words import line, moment, origin
from moonlet.core.commit import plain
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import Blamed, Condition, Divergence, cause_of
from moonlet.replay import bisect as search
from moonlet.replay import blame as blame_leaves
from moonlet.replay import compare as compare_sources

VALUE: Final = 40
"""Characters of a value in the table."""


@command
async def blame(
    options: Options,
    point: PointArgument,
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="A path in the state, like positions.BTC.")
    ] = "$",
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Say for each field under PATH which commit last changed it, and who had sent its command."""
    types = find(module)
    async with reading(options, bundle, types.values()) as opened:
        found = await opened.point(point)
        agent_type = code_of(types, found.agent)
        async with timeline_of(options, opened, agent_type, found.agent) as timeline:
            leaves = await blame_leaves(timeline, path, found.revision)
    rows: list[tuple[str, ...]] = [("FIELD", "VALUE", "COMMIT", "TIME", "COMMAND", "CAME")]
    rows += [_row(leaf) for leaf in leaves]
    lines = table(rows)
    if not options.output.json:
        options.output.result({}, lines[0])
    for leaf, text in zip(leaves, lines[1:], strict=True):
        options.output.result(_blamed(leaf), text)


def _row(leaf: Blamed) -> tuple[str, ...]:
    value = compact(leaf.value)
    value = value if len(value) <= VALUE else f"{value[: VALUE - 1]}…"
    commit = leaf.commit
    if commit is None:
        return leaf.path, value, "-", "", "as at first", ""
    came = origin(cause_of(commit), commit)
    return leaf.path, value, f"@{commit.revision}", moment(commit), commit.command.name, came


def _blamed(leaf: Blamed) -> dict[str, Any]:
    record: dict[str, Any] = {"path": leaf.path, "value": leaf.value, "revision": None}
    commit = leaf.commit
    if commit is not None:
        cause = cause_of(commit)
        record["revision"] = commit.revision
        record["time"] = commit.time.datetime.isoformat()
        record["command"] = {"id": commit.command.id, "name": commit.command.name}
        record["sender"] = commit.command.sender
        record["cause"] = None if cause is None else cause.commit
    return record


@command
async def bisect(
    options: Options,
    agent: Agent,
    where: Annotated[
        str,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Of state, revision, time, outcome, command, events.",
        ),
    ],
    module: Modules = None,
    bundle: BundleFile = None,
) -> int:
    """Find the first revision at which a condition holds, like 'state.health < 1.1'.

    Ends with 1 if there is none.
    """
    condition = Condition(where)
    target = AgentId.parse(agent)
    types = find(module)
    agent_type = code_of(types, target)
    async with reading(options, bundle, types.values()) as opened:
        async with timeline_of(options, opened, agent_type, target) as timeline:
            found = await search(timeline, condition)
            first = await timeline.commit(found.first) if found.first else None
    record = {
        "agent": agent,
        "where": where,
        "revision": found.first,
        "last": found.last,
        "looks": found.looks,
        "monotone": found.again is None,
        "again": found.again,
    }
    if found.first is None:
        options.output.result(record, f"it holds at none of the revisions 0 to {found.last}")
        return ExitCode.FOUND
    text = f"it holds from {agent}@{found.first} on"
    if found.again is not None:
        text = (
            f"it holds first at {agent}@{found.first}, but not at @{found.again}: the condition is"
            " not monotone"
        )
    if first is not None:
        text += f"\n{line(first)}"
    options.output.result(record, text)
    return ExitCode.OK


local = command_without("context", "data")


@local
async def compare(
    options: Options,
    left: Annotated[str, typer.Argument(metavar="A", help="A bundle, or a server's address.")],
    right: Annotated[str, typer.Argument(metavar="B", help="The other.")],
) -> int:
    """Say where the histories of two runs part: the first divergence of each agent, causes first.

    Ids, times and sequences are no differences. Ends with 1 if any agent's histories part.
    """
    async with _side(options, left) as ours, _side(options, right) as theirs:
        found = await compare_sources(ours.source, theirs.source)
        agents = len({*await ours.source.agents(), *await theirs.source.agents()})
    for parted in found:
        options.output.result(parted_record(parted), parted_words(parted))
    if not found:
        options.output.result(
            {"agents": agents, "parted": 0}, f"{agents} agents, and no difference"
        )
        return ExitCode.OK
    options.output.remark(f"{len(found)} of {agents} agents went another way")
    return ExitCode.FOUND


def _side(options: Options, text: str) -> Any:
    if "://" in text:
        return reading(msgspec.structs.replace(options, url=text), None)
    if not Path(text).exists():
        raise Invalid(f"{text}: there is no such file; name a bundle, or nats://HOST:PORT")
    return reading(msgspec.structs.replace(options, url=None), Path(text))


def parted_record(parted: Divergence) -> dict[str, Any]:
    """A divergence as plain data."""
    left, right = parted.left, parted.right
    return {
        "agent": parted.agent,
        "revision": parted.revision,
        "changes": parted.changes,
        "inherited": parted.inherited or None,
        "left": plain(left) if left is not None else None,
        "right": plain(right) if right is not None else None,
    }


def parted_words(parted: Divergence) -> str:
    """A divergence in words: both commits, and what differs."""
    lines = [f"{parted.agent}@{parted.revision}"]
    if parted.inherited:
        lines[0] += f"  follows from {parted.inherited}"
    for name, commit in (("A", parted.left), ("B", parted.right)):
        lines.append(f"  {name}  {line(commit) if commit is not None else 'has ended'}")
    if parted.left is not None and parted.right is not None:
        lines += [f"     {change}" for change in parted.changes[:10]]
    return "\n".join(lines)
