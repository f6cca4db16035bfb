"""`replay`: recorded commands, decided again by today's code."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.console.common import (
    ExitCode,
    Modules,
    Options,
    command,
    counted,
    find,
    progress,
)
from moonlet.console.replay.opening import BundleFile, code_of, reading
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import Replayed, replay_agent, replay_all
from moonlet.replay.again import told

POLL: Final = 0.1
"""Seconds between two looks at the files that are watched."""


@command
async def replay(
    options: Options,
    agent: Annotated[
        str | None, typer.Argument(help="type/key, like account/alice", metavar="[AGENT]")
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="All agents whose code is known here.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again whenever a file of the code changes.")
    ] = False,
    module: Modules = None,
    bundle: BundleFile = None,
) -> int:
    """Decide every recorded command again with today's code; equal, or the first difference.

    Says both sides, and the file and line of the handler. Ends with 1 if anything differs.
    """
    if (agent is None) is not everyone:
        raise Invalid("name one agent, or all of them with --all")
    if watch:
        types = find(module)
        return await _watch({_file(sys.modules.get(name)) for name in _modules(types)})
    types = find(module)
    async with reading(options, bundle, types.values()) as opened:
        if agent is not None:
            target = AgentId.parse(agent)
            replayed = [await replay_agent(opened.source, code_of(types, target), target)]
            if not replayed[0].commits:
                raise Invalid(f"{agent} has no commits: `moonlet agents` lists those that have")
            codeless: list[str] = []
        else:
            with progress(options.output, "replaying", "commits") as advance:
                replayed = await replay_all(opened.source, types, advance)
            codeless = sorted({each.type for each in await opened.source.agents()} - set(types))
    return _tell(options, replayed, codeless)


def _tell(options: Options, replayed: list[Replayed], codeless: list[str]) -> int:
    parted = [each for each in replayed if each.divergent is not None]
    for each in replayed:
        if each.divergent is not None:
            options.output.result(msgspec.to_builtins(each), told(each))
    if codeless:
        options.output.remark(f"the code of {', '.join(codeless)} is not known here: left out")
    commits = sum(each.commits for each in replayed)
    decided = sum(each.decided for each in replayed)
    mended = sum(each.mended for each in replayed)
    record: dict[str, Any] = {
        "agents": len(replayed),
        "commits": commits,
        "decided": decided,
        "mended": mended,
        "parted": len(parted),
        "codeless": codeless,
    }
    text = f"{counted(decided, 'command')} of {counted(len(replayed), 'agent')} decided again"
    text += ": all as they were" if not parted else f"; {counted(len(parted), 'agent')} part"
    if mended:
        text += f"; {counted(mended, 'command')} that failed would not today"
    options.output.result(record, text)
    return ExitCode.FOUND if parted else ExitCode.OK


def _modules(types: Any) -> set[str]:
    return {
        handler.function.__module__
        for agent_type in types.values()
        for handler in (
            *agent_type.behavior.commands.values(),
            *agent_type.behavior.events.values(),
        )
    }


def _file(module: Any) -> Path:
    return Path(getattr(module, "__file__", None) or ".").resolve()


async def _watch(files: set[Path]) -> int:
    """Run this command in a process of its own, now and after each change; until Ctrl-C."""
    folders = {file.parent for file in files}
    arguments = [each for each in sys.argv[1:] if each != "--watch"]
    seen: dict[Path, int] = {}
    while True:
        now = {
            file: file.stat().st_mtime_ns
            for folder in folders
            for file in folder.glob("*.py")
            if file.exists()
        }
        if now != seen:
            seen = now
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "moonlet.console", *arguments
            )
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.terminate()
            names = ", ".join(sorted(map(str, folders)))
            typer.echo(f"-- waits for a change in {names}", err=True)
        await asyncio.sleep(POLL)
