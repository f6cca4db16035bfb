"""`why`, `effects` and `trace`: from what something came, and what came of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from moonlet.console.common import Modules, Options, command, compact, find
from moonlet.console.replay.indexing import looking
from moonlet.console.replay.opening import BundleFile, PointArgument, code_of, reading
from moonlet.console.replay.words import line, origin, span
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.replay import (
    Followed,
    Leg,
    WhyStep,
    cause_of,
    chrome_trace,
    commit_at,
    correlation_of,
    critical_path,
    depends_on,
    mermaid,
    otlp_trace,
    parse_point,
    read_record,
    swimlanes,
)
from moonlet.replay import effects as follow
from moonlet.replay import why as explain

Mermaid = Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flow chart.")]
Svg = Annotated[
    Path | None, typer.Option("--svg", metavar="FILE", help="Write swimlanes as a picture.")
]

ENDS = {
    "uncommitted": "is not decided yet, or was called off",
    "not recorded": "is not in the journal, whatever the command says",
    "too many": "and more: too many to show",
}


@command
async def why(
    options: Options,
    point: PointArgument,
    as_mermaid: Mermaid = False,
    svg: Svg = None,
    test: Annotated[
        bool,
        typer.Option("--test", help="Run the record on without each cause: did it depend on it?"),
    ] = False,
    runs: Annotated[int, typer.Option(min=1, help="With --test: how often at most.")] = 200,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Print the chain of causes of a commit, back to what came from outside.

    With the time that passed from each cause's decision to the next. With --test also which
    commands from outside it really depended on: the record is run on without them, one by one, the
    nearest first, and then without the smallest sets of which any one suffices.
    """
    if test:
        await _test(options, point, runs, module, bundle)
        return
    async with reading(options, bundle) as opened:
        commit = await commit_at(opened.source, await opened.point(point))
        async with looking(options, opened) as lookup:
            chain = await explain(lookup, commit)
    commits = [step.commit for step in reversed(chain)]
    if _drawn(options, commits, as_mermaid, svg):
        return
    records = [_why_record(step) for step in chain]
    text = "\n".join(_why_lines(chain))
    options.output.result({"commit": records[0]["commit"], "why": records}, text)


async def _test(
    options: Options, text: str, runs: int, module: list[str] | None, bundle: Path | None
) -> None:
    types = find(module)
    async with reading(options, bundle, types.values()) as opened:
        point = await opened.point(text)
        code_of(types, point.agent)
        record = await read_record(opened.source)
    found = depends_on(record, types, point, runs=runs)
    lines = [f"{point} needed {name}" for name in found.needed]
    lines += [f"{point} needed {' or '.join(each)}: any suffices" for each in found.together]
    if not lines:
        lines.append(f"{point} came out the same, whatever was left out")
    lines.append(f"tried {found.tried:,} times, with commands from outside left out")
    if found.undecided:
        lines.append(f"undecided: {found.undecided:,} more; try them with --runs {runs * 10}")
    options.output.result(msgspec.structs.asdict(found), "\n".join(lines))


def _why_record(step: WhyStep) -> dict[str, Any]:
    cause = step.cause
    record = _brief(step.commit)
    record["cause"] = None if cause is None else {"kind": cause.kind, "commit": cause.commit}
    record["missing"] = step.missing or None
    return record


def _why_lines(chain: Sequence[WhyStep]) -> list[str]:
    lines: list[str] = []
    for depth, step in enumerate(chain):
        indent = "  " * depth
        lines.append(f"{indent}{line(step.commit)}")
        told = origin(step.cause, step.commit)
        if step.missing:
            told += f", which {ENDS[step.missing]}"
        elif depth + 1 < len(chain):
            waited = step.commit.wall_us - chain[depth + 1].commit.wall_us
            told += f", {span(waited)} before"
        lines.append(f"{indent}  {told}")
    return lines


@command
async def effects(
    options: Options,
    point: PointArgument,
    as_mermaid: Mermaid = False,
    svg: Svg = None,
    bundle: BundleFile = None,
) -> None:
    """Print what followed from a commit: sends, timers and calls, across all agents."""
    async with reading(options, bundle) as opened:
        commit = await commit_at(opened.source, await opened.point(point))
        async with looking(options, opened) as lookup:
            tree = await follow(lookup, commit)
    if _drawn(options, _commits(tree), as_mermaid, svg):
        return
    options.output.result(_tree_record(tree), "\n".join(_tree_lines(tree)))


def _commits(tree: Followed) -> list[Commit[Any]]:
    found: list[Commit[Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop(0)
        waiting += node.following
        if node.commit is not None:
            found.append(node.commit)
    return sorted(found, key=lambda commit: (commit.time, commit.agent))


def _tree_record(tree: Followed) -> dict[str, Any]:
    """Built from the leaves up, so that a chain of thousands needs no stack."""
    order = [tree]
    for node in order:
        order += node.following
    made: dict[int, dict[str, Any]] = {}
    for node in reversed(order):
        record: dict[str, Any] = {"agent": node.agent, "name": node.name, "commit": None}
        if node.commit is not None:
            record.update(_brief(node.commit))
        record["kind"], record["missing"] = node.kind or None, node.missing or None
        record["following"] = [made[id(each)] for each in node.following]
        made[id(node)] = record
    return made[id(tree)]


def _tree_lines(tree: Followed) -> list[str]:
    lines: list[str] = []
    waiting = [(tree, "", "")]
    while waiting:
        node, head, below = waiting.pop()
        if node.commit is not None:
            kind = {"schedule": "timer ", "perform": "call ", "send": ""}.get(node.kind, "")
            lines.append(f"{head}{kind}{line(node.commit)}")
        else:
            lines.append(f"{head}{node.kind} {node.name} to {node.agent} {ENDS[node.missing]}")
        inner = []
        for number, each in enumerate(node.following, 1):
            last = number == len(node.following)
            branch, space = ("└─ ", "   ") if last else ("├─ ", "│  ")
            inner.append((each, below + branch, below + space))
        waiting += reversed(inner)
    return lines


@command
async def trace(
    options: Options,
    conversation: Annotated[
        str, typer.Argument(metavar="CORRELATION|POINT", help="A conversation, or a commit of it.")
    ],
    chrome: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a Chrome trace, which ui.perfetto.dev opens."),
    ] = None,
    otlp: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write spans as OTLP's JSON, for OpenTelemetry."),
    ] = None,
    as_mermaid: Mermaid = False,
    svg: Svg = None,
    bundle: BundleFile = None,
) -> None:
    """Print a whole conversation in the order of its times, and its critical path."""
    async with reading(options, bundle) as opened, looking(options, opened) as lookup:
        correlation = conversation
        if parse_point(conversation).kind != "id":
            correlation = correlation_of(
                await commit_at(opened.source, await opened.point(conversation))
            )
        commits = await lookup.of_correlation(correlation)
        if not commits:
            raise Invalid(
                f"no commit of {opened.source.description} is of a conversation {conversation!r}:"
                " name its first command's id, or one of its commits"
            )
        path = await critical_path(lookup, commits[0])
    if chrome is not None:
        _write(chrome, compact(chrome_trace(commits)))
        options.output.remark(f"{chrome}: open it at ui.perfetto.dev or chrome://tracing")
    if otlp is not None:
        _write(otlp, compact(otlp_trace(commits)))
        options.output.remark(f"{otlp}: POST it to a collector's /v1/traces")
    written = chrome is not None or otlp is not None
    if _drawn(options, commits, as_mermaid, svg) or written:
        return
    first = commits[0].wall_us
    lines = [f"{span(commit.wall_us - first):>10}  {line(commit)}" for commit in commits]
    lines += ["", "critical path"]
    lines += [f"{'+' + span(leg.waited_us):>10}  {line(leg.commit)}{_parts(leg)}" for leg in path]
    legs = [_brief(leg.commit) | _times(leg) for leg in path]
    record = {
        "correlation": correlation,
        "commits": [_brief(commit) for commit in commits],
        "critical_path": legs,
    }
    options.output.result(record, "\n".join(lines))


def _times(leg: Leg) -> dict[str, int | None]:
    return {
        "waited_us": leg.waited_us,
        "sent_us": leg.sent_us,
        "queued_us": leg.queued_us,
        "committed_us": leg.committed_us,
    }


def _parts(leg: Leg) -> str:
    """Where a step's time went, as far as it is recorded; clocks may differ by a little."""
    parts = {"sent": leg.sent_us, "queued": leg.queued_us, "committed": leg.committed_us}
    told = [f"{name} {span(max(0, time))}" for name, time in parts.items() if time is not None]
    return f"\n            {' · '.join(told)}" if told else ""


def _brief(commit: Commit[Any]) -> dict[str, Any]:
    cause = cause_of(commit)
    return {
        "commit": f"{commit.agent}@{commit.revision}",
        "agent": commit.agent,
        "revision": commit.revision,
        "time": commit.time.datetime.isoformat(),
        "name": commit.command.name,
        "command": commit.command.id,
        "body": commit.command.body,
        "sender": commit.command.sender,
        "outcome": commit.outcome,
        "reason": commit.reason,
        "where": commit.where,
        "events": [event.name for event in commit.events],
        "cause": None if cause is None else {"kind": cause.kind, "commit": cause.commit},
    }


def _drawn(
    options: Options, commits: Sequence[Commit[Any]], as_mermaid: bool, svg: Path | None
) -> bool:
    """Whether a picture was asked for, and made."""
    if svg is not None:
        _write(svg, swimlanes(commits))
        options.output.remark(f"{svg}: open it in a browser")
    if as_mermaid:
        chart = mermaid(commits)
        options.output.result({"mermaid": chart}, chart.rstrip())
    return as_mermaid or svg is not None


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}: name a file that can be written") from None
