"""`bundle create|open|test`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from moonlet.console.common import (
    Found,
    Modules,
    Options,
    command,
    command_without,
    counted,
    find,
    table,
)
from moonlet.console.replay import BundleFile, Reading, code_of, looking, reading
from moonlet.core.errors import Invalid, InvalidSettings
from moonlet.core.ids import AgentId
from moonlet.replay import Point, commit_at, commits_of, fold_at, plain_state, resolve
from moonlet.replay.sources import BundleSource

bundle_app = typer.Typer(
    name="bundle",
    help="A part of a system as one file: made, looked into anywhere without a server, tested.",
    no_args_is_help=True,
)
local = command_without("url", "context", "data", "prefix")
File = Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")]


@bundle_app.command()
@command
async def create(
    options: Options,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to.")],
    correlation: Annotated[
        str | None, typer.Option(metavar="ID", help="All agents of this conversation.")
    ] = None,
    agents: Annotated[
        list[str] | None, typer.Option("--agents", metavar="PATTERN", help="Like order/*.")
    ] = None,
    around: Annotated[
        str | None,
        typer.Option(metavar="POINT", help="All agents before and behind it, by cause and effect."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    bundle: BundleFile = None,
) -> None:
    """Take the whole histories of some agents, from a server or of a larger bundle. Read-only.

    The file is for your eyes: it holds what was said, but no settings and no credentials.
    """
    from moonlet.replay.packing import chosen_by_cause, chosen_by_pattern, pack, pack_of
    from moonlet.simulations.bundle import read_bundle, write_bundle

    if sum(each is not None for each in (correlation, agents, around)) != 1:
        raise Invalid("say which agents: --agents PATTERN, --correlation ID, or --around POINT")
    if output.exists() and not force:
        raise InvalidSettings(
            f"{output} is there already: name another, or replace it with --force"
        )
    if not output.parent.is_dir():
        raise InvalidSettings(f"{output}: there is no folder {output.parent}; make it")
    async with reading(options, bundle) as opened:
        if agents is not None:
            chosen = await chosen_by_pattern(opened.source, agents)
        else:
            async with looking(options, opened) as lookup:
                if around is not None:
                    commits = [await commit_at(opened.source, await opened.point(around))]
                else:
                    commits = await lookup.of_correlation(correlation or "")
                if not commits:
                    raise Invalid(
                        f"{opened.source.description} has no conversation {correlation!r}"
                    )
                chosen = await chosen_by_cause(lookup, commits)
        if opened.bus is not None:
            made = await pack(opened.bus, chosen)
        else:
            assert bundle is not None
            made = pack_of(read_bundle(bundle)[0], chosen)
    try:
        digest = write_bundle(output, made)
    except OSError as error:
        raise InvalidSettings(f"{output}: {error.strerror}") from None
    counts = await BundleSource(made, str(output)).agents()
    record = {
        "file": str(output),
        "digest": digest,
        "bytes": output.stat().st_size,
        "agents": {str(agent): count for agent, count in counts.items()},
    }
    commits_in_all = counted(sum(counts.values()), "commit")
    text = f"{counted(len(counts), 'agent')}, {commits_in_all} in {output}"
    options.output.result(record, text)


@bundle_app.command("open")
@local
async def open_(options: Options, file: File) -> None:
    """What is in a bundle, and how to look further. Checked before it is believed."""
    async with reading(options, file) as opened:
        source = opened.source
        counts = await source.agents()
        versions = await _versions(opened, counts)
    rows = [("AGENT", "COMMITS", "VERSION")]
    rows += [(str(a), f"{count:,}", ", ".join(versions[a])) for a, count in counts.items()]
    lines = table(rows, right=(1,))
    if counts:
        first = next(iter(counts))
        lines += [
            "",
            "Look further",
            f"  moonlet history {first} --diff --bundle {file}",
            f"  moonlet why {first}@{counts[first]} --bundle {file}",
            f"  moonlet replay --all --bundle {file}",
        ]
    agents = {
        str(agent): {"commits": count, "versions": versions[agent]}
        for agent, count in counts.items()
    }
    options.output.result({"file": str(file), "agents": agents}, "\n".join(lines))


async def _versions(opened: Reading, agents: Any) -> dict[AgentId, list[str]]:
    """The versions of the application that decided each agent's commits."""
    found: dict[AgentId, list[str]] = {}
    for agent in agents:
        seen = {commit.app_version async for commit in commits_of(opened.source, agent)}
        found[agent] = sorted(seen - {""})
    return found


@bundle_app.command()
@local
async def test(
    options: Options,
    file: File,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The test, beside the bundle.")
    ],
    point: Annotated[
        list[str] | None,
        typer.Option("--point", metavar="POINT", help="Its state must be what it is now."),
    ] = None,
    module: Modules = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a pytest file: the bundle's commands are decided as they were, states are as found."""
    from moonlet.replay.packing import golden_test

    if output.exists() and not force:
        raise InvalidSettings(
            f"{output} is there already: name another, or replace it with --force"
        )
    if output.resolve().parent != file.resolve().parent:
        raise Invalid(f"{output}: it has to stand beside {file}, where it looks for it")
    types = find(module)
    found: list[tuple[Point, Any]] = []
    async with reading(options, file) as opened:
        there = {agent.type for agent in await opened.source.agents()}
        for text in point or []:
            at = await resolve(opened.source, text)
            code = code_of(types, at.agent)
            fold = await fold_at(opened.source, code, at.agent, at.revision)
            found.append((at, plain_state(fold.state)))
    places = _places(types, there)
    try:
        output.write_text(golden_test(file, places, found), "utf-8")
    except OSError as error:
        raise InvalidSettings(f"{output}: {error.strerror}") from None
    record = {"file": str(output), "types": [name for _, name in places]}
    options.output.result(record, f"{output}: run it with pytest")


def _places(types: Found, there: set[str]) -> list[tuple[str, str]]:
    """The module and the name of each agent type that the bundle has."""
    found: list[tuple[str, str]] = []
    for name in sorted(there & set(types)):
        made = types[name]
        handlers = (*made.behavior.commands.values(), *made.behavior.events.values())
        for module in dict.fromkeys(handler.function.__module__ for handler in handlers):
            loaded = vars(sys.modules[module]) if module in sys.modules else {}
            names = [own for own, value in loaded.items() if value is made]
            if names:
                found.append((module, names[0]))
                break
    if not found:
        raise Invalid(
            f"the bundle has agents of the types {', '.join(sorted(there)) or 'none'}, and the code"
            " of none is known here: name its module with --module"
        )
    return found
