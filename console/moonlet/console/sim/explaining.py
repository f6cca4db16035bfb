"""`sim explain` and `sim diff`: kept runs in words of the agents, as histories are told."""

from __future__ import annotations

import asyncio
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.console.common import ExitCode, Options, command_without, compact, counted
from moonlet.console.replay import parted_record, parted_words
from moonlet.console.sim.replay import File, again, faults_of, tell
from moonlet.core.errors import InvalidSettings
from moonlet.replay import BundleSource, Divergence, compare, plain_state, states_at
from moonlet.simulations.bundle import write_bundle
from moonlet.simulations.replay import SimFile, read_sim
from moonlet.simulations.scenario import Run
from moonlet.simulations.search import (
    MARKS,
    first_difference,
    happened,
    lines_from,
    otherwise,
    without_last_fault,
)

KEPT: Final = "tests/seeds"

command = command_without("url", "context", "data", "prefix")


@command
def explain(
    options: Options,
    file: File,
    most: Annotated[int, typer.Option(min=1, help="How many commits are shown.")] = 40,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="FILE", help="Write what the server held, for why, state, tui …"
        ),
    ] = None,
) -> int:
    """What happened in a kept run, in words of its agents, what it fails with and what it takes."""
    run = again(file, keep=True)
    lines, facts = _story(run, most)
    if bundle is not None:
        assert run.held is not None
        try:
            write_bundle(bundle, run.held)
        except OSError as error:
            raise InvalidSettings(f"{bundle}: {error.strerror}") from None
        lines.append(f"written: {bundle}, for `moonlet why AGENT@REVISION --bundle {bundle}`")
    lines += ["what it takes:", *faults_of(run)]
    if run.error is not None:
        lines += [
            f"go on: moonlet sim replay {file} --pdb    or --until TIME, --events",
            f"       moonlet sim shrink {file} --seconds 300",
            f"       cp {file} {KEPT}/    and it is run again with every test",
        ]
    tell(options, run, lines, **facts)
    return ExitCode.OK if run.error is None else ExitCode.FOUND


def _story(run: Run, most: int) -> tuple[list[str], dict[str, Any]]:
    mine = happened(run)
    passing = without_last_fault(run) if run.error is not None else None
    parted = None if passing is None else otherwise(run, mine, passing)
    lines = lines_from(mine, parted, most)
    if len(mine) > most:
        lines.insert(0, f"{most} of {counted(len(mine), 'commit')}, more with --most")
    if parted is not None:
        lines.append(MARKS)
    elif passing is not None:
        lines.append(f"without the last fault it passes, otherwise from: {first_difference(run)}")
    states = asyncio.run(_states(run))
    lines += ["states at the end:", *(f"  {agent}  {compact(it)}" for agent, it in states.items())]
    commits = [msgspec.to_builtins(each.commit) for each in mine]
    place = None if parted is None else parted.place
    return lines, {"commits": commits, "otherwise": place, "states": states}


async def _states(run: Run) -> dict[str, Any]:
    assert run.held is not None
    source = BundleSource(run.held, "the run")
    types = {agent_type.name: agent_type for agent_type in run.scenario.agents}
    found: dict[str, Any] = {}
    for name in sorted({agent.type for agent in await source.agents()} & set(types)):
        for state in await states_at(source, types, name):
            found[str(state.agent)] = plain_state(state.state)
    return found


@command
def diff(
    options: Options,
    one: File,
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="Another kept run.")],
) -> int:
    """Where two kept runs part: the first divergence of each agent, causes first; 1 if any does.

    Runs both again. If no agent's history differs, the first event in which the runs do.
    """
    ours, theirs = again(one, keep=True), again(other, keep=True)
    parted = asyncio.run(_parted(ours, theirs))
    for each in parted:
        options.output.result(parted_record(each), parted_words(each))
    if parted:
        return ExitCode.FOUND
    return _first_event(options, one, other)


async def _parted(ours: Run, theirs: Run) -> list[Divergence]:
    assert ours.held is not None and theirs.held is not None
    return await compare(BundleSource(ours.held, "one"), BundleSource(theirs.held, "other"))


def _first_event(options: Options, one: Path, other: Path) -> int:
    first, second = _read(one), _read(other)
    left_out = max(first.left_out, second.left_out)
    pairs = zip_longest(*(kept.events[left_out - kept.left_out :] for kept in (first, second)))
    for number, (mine, theirs) in enumerate(pairs, left_out + 1):
        if mine != theirs:
            facts = {"event": number, "one": mine, "other": theirs}
            text = f"event {number}\n  {one}: {_event(mine)}\n  {other}: {_event(theirs)}"
            options.output.result(facts, f"every agent's history is the same; {text}")
            return ExitCode.FOUND
    options.output.result({"event": None}, f"{counted(len(first.events), 'event')}, all equal")
    return ExitCode.OK


def _read(file: Path) -> SimFile:
    try:
        return read_sim(file)
    except (ValueError, OSError) as error:
        raise InvalidSettings(f"{file}: {error}") from None


def _event(event: Any) -> str:
    return "nothing more" if event is None else " ".join(str(field) for field in event)
