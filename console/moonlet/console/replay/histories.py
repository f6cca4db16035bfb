"""`history`: an agent's commits, and with --diff or --field what each changed."""

from contextlib import aclosing
from pathlib import Path as File
from typing import Annotated, Any

import typer

from moonlet.agents.histories import read_commits
from moonlet.console.common import Modules, Options, command, find
from moonlet.console.replay.indexing import timeline_of
from moonlet.console.replay.opening import BundleFile, Reading, code_of, reading
from moonlet.console.replay.words import in_words, with_cause
from moonlet.core.commit import Commit, plain
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import NOTHING, Change, changes, commits_of, inside, parse_path, walk
from moonlet.replay.changes import Path
from moonlet.streams import ParkedStacks

Agent = Annotated[str, typer.Argument(help="type/key, like account/alice", metavar="AGENT")]


@command
async def history(
    options: Options,
    agent: Agent,
    first: Annotated[int, typer.Option("--from", help="First revision.", min=1)] = 1,
    last: Annotated[int | None, typer.Option("--to", help="Last revision.", min=1)] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for further commits.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what each commit changed in the state.")
    ] = False,
    field: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Only commits that changed this path of the state."),
    ] = None,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Print an agent's commits, oldest first; --from and --to are inclusive."""
    target = AgentId.parse(agent)
    if follow and (bundle is not None or diff or field is not None):
        raise Invalid("--follow waits for commits of a server: leave --bundle, --diff, --field out")
    if diff or field is not None:
        count = await _changed(options, target, first, last, field, module, bundle)
    else:
        count = await _plain(options, target, first, last, follow, bundle)
    if not count:
        between = "" if first == 1 and last is None else f" from {first} to {last or 'the end'}"
        what = "commits" if field is None else f"commits that changed {field}"
        options.output.remark(
            f"{agent} has no {what}{between}: `moonlet agents` lists those that have"
        )


async def _plain(
    options: Options,
    target: AgentId,
    first: int,
    last: int | None,
    follow: bool,
    bundle: File | None,
) -> int:
    count = 0
    async with reading(options, bundle) as opened:
        if follow:
            assert opened.bus is not None
            commits = read_commits(opened.bus, target, first, last, follow)
        else:
            commits = commits_of(opened.source, target, first, last)
        stack_of = _stacks(opened, target)
        async with aclosing(commits):
            async for commit in commits:
                count += 1
                _tell(options, commit, await stack_of(commit))
    return count


def _stacks(opened: Reading, target: AgentId) -> Any:
    """What gives the traceback of a parked commit; a bundle has none."""
    if opened.bus is not None:
        return ParkedStacks(opened.bus, target).of

    async def none(_: Commit[Any]) -> str:
        return ""

    return none


async def _changed(
    options: Options,
    target: AgentId,
    first: int,
    last: int | None,
    field: str | None,
    module: list[str] | None,
    bundle: File | None,
) -> int:
    root = parse_path(field) if field is not None else ()
    types = find(module)
    agent_type = code_of(types, target)
    count = 0
    ever = field is None
    async with (
        reading(options, bundle, types.values()) as opened,
        timeline_of(options, opened, agent_type, target) as timeline,
    ):
        walked = walk(timeline, 0, last)
        stack_of = _stacks(opened, target)
        async with aclosing(walked):
            async for step in walked:
                old, new = inside(step.before, root), inside(step.after, root)
                ever = ever or new is not NOTHING or old is not NOTHING
                if step.commit.revision < first:
                    continue
                differ = [] if step.before is step.after else changes(step.before, step.after)
                if field is not None:
                    if old is new or (old is not NOTHING and new is not NOTHING and old == new):
                        continue
                    differ = [each for each in differ if _touches(each.path, root)]
                count += 1
                _tell(options, step.commit, await stack_of(step.commit), differ)
    if not ever:
        raise Invalid(
            f"{target} never had {field} in its state: `moonlet state {target}` shows what it has"
        )
    return count


def _touches(path: str, root: Path) -> bool:
    here = parse_path(path)
    shorter = min(len(here), len(root))
    return here[:shorter] == root[:shorter]


def _tell(
    options: Options, commit: Commit[Any], stack: str, differ: list[Change] | None = None
) -> None:
    record = with_cause(commit, plain(commit))
    if stack:
        record["traceback"] = stack
    text = in_words(commit, stack)
    if differ is not None:
        record["changes"] = differ
        text = "\n        ".join([text, *(f"state  {change}" for change in differ)])
    options.output.result(record, text)
