"""`state`, `diff` and `cut`: what agents held at any point, and what differs between two."""

from typing import Annotated, Any

import typer

from moonlet.console.common import (
    Found,
    Modules,
    Options,
    command,
    compact,
    find,
    pretty,
    progress,
    table,
)
from moonlet.console.replay.indexing import kept_states
from moonlet.console.replay.opening import (
    POINT,
    BundleFile,
    PointArgument,
    Reading,
    Time,
    code_of,
    reading,
    time_option,
)
from moonlet.core.digest import state_digest
from moonlet.core.errors import Invalid, UnknownAgentType
from moonlet.core.ids import check_name
from moonlet.replay import (
    Cut,
    Point,
    StateAt,
    changes,
    cut_at,
    json_patch,
    moment_of,
    parse_point,
    plain_state,
    state_at,
    states_at,
)

Other = Annotated[str | None, typer.Argument(metavar="[POINT]", help=f"The later point: {POINT}")]


@command
async def state(
    options: Options,
    point: Annotated[
        str, typer.Argument(metavar="POINT", help=f"{POINT} TYPE/* for all agents of a type.")
    ],
    revision: Annotated[
        int | None, typer.Option(help="After this revision; 0 is the initial state.", min=0)
    ] = None,
    time: Time = None,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Print an agent's state, replayed from its commits: the newest, or at an earlier point.

    Of all agents of a type (account/*) a line each, as of one consistent cut.
    """
    if revision is not None and time is not None:
        raise Invalid("give a revision or a time, not both")
    if revision is not None and ("@" in point or point.endswith("/*")):
        raise Invalid(f"{point}: give an agent alone with --revision")
    types = find(module)
    if point.endswith("/*"):
        await _many(options, point, types, time, bundle)
        return
    if revision is not None:
        point = f"{point}@{revision}"
    said = parse_point(point)
    if said.agent is not None:
        code_of(types, said.agent)
    async with reading(options, bundle, types.values()) as opened:
        found = await opened.point(point, time)
        held = await _state(options, opened, types, found)
    if not held.revision and revision != 0:
        by_then = f" by {time}" if time is not None else ""
        options.output.remark(f"{held.agent} has no commits{by_then}: this is its initial state")
    options.output.result(_record(held), pretty(plain_state(held.state)))


async def _state(options: Options, opened: Reading, types: Found, point: Point) -> StateAt:
    agent_type = code_of(types, point.agent)
    with (
        kept_states(options, opened) as kept,
        progress(options.output, "reading", "commits") as advance,
    ):
        source, agent = opened.source, point.agent
        return await state_at(source, agent_type, agent, point.revision, kept, advance)


def _record(held: StateAt) -> dict[str, Any]:
    return {
        "agent": str(held.agent),
        "revision": held.revision,
        "sequence": held.sequence,
        "time": held.time.datetime.isoformat() if held.revision else None,
        "digest": state_digest(held.state),
        "state": plain_state(held.state),
    }


async def cut_of(opened: Reading, time: str | None) -> Cut | None:
    """The cut at a time; a time alone is of today, or of the day of the last commit."""
    if time is None:
        return None
    moment = time_option(time)
    last = 0
    for facts in await opened.source.journals():
        message = await opened.source.message(facts.stream, facts.last)
        last = max(last, message.time // 1_000 if message is not None else 0)
    return await cut_at(
        opened.source, moment_of(moment, now_us=opened.source.now_us(), last_us=last)
    )


async def _many(
    options: Options, pattern: str, types: Found, time: str | None, bundle: Any
) -> None:
    name = pattern.removesuffix("/*")
    names = sorted(types) if name == "*" else [check_name(name, "agent type")]
    if names[0] not in types:
        raise UnknownAgentType(
            f"the code of agent type {names[0]} is not known here (known:"
            f" {', '.join(sorted(types))}): name its module with --module MODULE[:NAME]"
        )
    async with reading(options, bundle, types.values()) as opened:
        cut = await cut_of(opened, time)
        for each in names:
            for held in await states_at(opened.source, types, each, cut):
                record = _record(held)
                text = f"{held.agent}@{held.revision}  {_brief(record['state'])}"
                options.output.result(record, text)


def _brief(plain: Any) -> str:
    text = compact(plain)
    return text if len(text) <= 160 else f"{text[:159]}…"


@command
async def cut(options: Options, time: Time = None, bundle: BundleFile = None) -> None:
    """Print a consistent cut: up to which sequence of each journal no effect lacks its cause."""
    if time is None:
        raise Invalid("say when: --time 08:45, --time 2026-03-11T08:45:00, --time=-5m")
    async with reading(options, bundle) as opened:
        found = await cut_of(opened, time)
        assert found is not None
    rows = [("JOURNAL", "SEQUENCE", "")]
    rows += [
        (stream, f"{last:,}", "cut earlier, for a cause's sake" if stream in found.lowered else "")
        for stream, last in sorted(found.frontier.items())
    ]
    record = {"frontier": found.frontier, "lowered": list(found.lowered)}
    options.output.result(record, "\n".join(table(rows, right=(1,))))


@command
async def diff(
    options: Options,
    point: PointArgument,
    other: Other = None,
    patch: Annotated[
        bool, typer.Option("--patch", help="Print an RFC 6902 patch from the first to the second.")
    ] = False,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Print what differs between the states of two points, of one agent or of two of a type.

    With one point: what its commit changed. + is new, - is gone, ~ holds something else.
    """
    types = find(module)
    async with reading(options, bundle, types.values()) as opened:
        right = await opened.point(point if other is None else other)
        if other is None:
            if not right.revision:
                raise Invalid(f"{right} is before the first commit: nothing changed there")
            left = Point(right.agent, right.revision - 1)
        else:
            left = await opened.point(point)
        before = plain_state((await _state(options, opened, types, left)).state)
        after = plain_state((await _state(options, opened, types, right)).state)
    found = changes(before, after)
    record: dict[str, Any] = {"from": str(left), "to": str(right), "changes": found}
    if patch:
        record["patch"] = json_patch(before, after)
        options.output.result(record, pretty(record["patch"]))
        return
    text = "\n".join(str(change) for change in found) or f"{left} and {right} hold the same"
    options.output.result(record, text)
