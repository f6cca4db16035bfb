"""`moonlet sim`: search worlds for failures, and look at what was found.

A scenario is named as `tests.test_bank:test_transfers` or `tests/test_bank.py:test_transfers`: a
test under `@simulate`, or a `Scenario`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moonlet.console.common import ExitCode, Options, command_without, counted, progress, table
from moonlet.console.sim.explaining import diff, explain
from moonlet.console.sim.history import history, import_
from moonlet.console.sim.plans import run_plans
from moonlet.console.sim.replay import File, again, faults_of, replay, tell
from moonlet.console.sim.seeds import (
    FOLDER,
    SweepTotal,
    read_mark,
    run_seeds,
    with_replicas,
    write_mark,
)
from moonlet.core.errors import InvalidSettings
from moonlet.simulations.replay import save, scenario_of
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.search import (
    BranchOutcome,
    Coverage,
    failure_of,
    single_faults,
)
from moonlet.simulations.search import exhaust as run_all
from moonlet.simulations.search import shrink as smallest

sim_app = typer.Typer(name="sim", help="Deterministic simulation: search, replay, shrink, explain.")

Name = Annotated[str, typer.Argument(metavar="MODULE:TEST", help="A simulated test.")]

command = command_without("url", "context", "data", "prefix")

sim_app.command("replay")(replay)
sim_app.command("explain")(explain)
sim_app.command("diff")(diff)
sim_app.command("import")(import_)
sim_app.command("history")(history)


def dotted(name: str) -> str:
    """`tests/test_bank.py:test` as `tests.test_bank:test`."""
    module, colon, function = name.partition(":")
    if not colon:
        raise InvalidSettings(f"{name}: name the test too, as {name}:test_transfers")
    return f"{module.removesuffix('.py').strip('/').replace('/', '.')}:{function}"


@sim_app.command()
@command
def sweep(
    options: Options,
    name: Name,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1_000,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="End after so long; 0: never.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on behind the last sweep.")] = False,
    marks: Annotated[
        bool, typer.Option("--marks", help="List the framework's rare places, too.")
    ] = False,
    replicas: Annotated[
        str,
        typer.Option(metavar="1|3|1,3", help="One server, a cluster, or both. Else the test's."),
    ] = "",
) -> int:
    """Run seeds until one fails: then the smallest plan, saved, and the line that replays it."""
    test = dotted(name)
    servers = _servers(replicas)
    scenario = with_replicas(scenario_of(test), servers)
    if resume:
        first = read_mark(test)
    total = SweepTotal()
    seconds = minutes * 60 or None
    with progress(options.output, "sweeping", "seeds") as advance:
        for part in run_seeds(
            test, first, first + seeds, jobs=jobs, seconds=seconds, replicas=servers
        ):
            total.add(part)
            advance(total.seeds, seeds)
            write_mark(test, part.next if part.failed is None else part.failed)
    facts: dict[str, Any] = {
        "seeds": total.seeds,
        "seconds": round(total.seconds, 3),
        "virtual_seconds": total.virtual_ns / 1e9,
        "failed": total.failed,
        "armed": dict(total.coverage.armed),
        "fired": dict(total.coverage.fired),
        "reached": dict(sorted(total.coverage.reached.items())),
        "never_reached": total.coverage.never_reached(*_own_modules(scenario)),
    }
    lines = [*total.coverage.lines(), *(_marks(total.coverage) if marks else ())]
    if facts["never_reached"]:
        lines.append(f"never reached: {'; '.join(facts['never_reached'])}")
    text = "\n".join([*lines, str(total)])
    if total.failed is None:
        options.output.result(facts, text)
        return ExitCode.OK
    run = scenario.run(total.failed)
    if run.error is None:
        text += f"\nseed {total.failed} failed in its process and passes in this one: report this"
        options.output.result(facts, text)
        return ExitCode.FOUND
    report = failure_of(run, passed=total.seeds - 1, seconds=total.seconds)
    options.output.result({**facts, "file": str(report.path)}, f"{text}\nFAILED {report}")
    return ExitCode.FOUND


@sim_app.command()
@command
def exhaust(
    options: Options,
    name: Name,
    seed: Annotated[int, typer.Option(min=0, help="The calm run that is hurt.")] = 0,
    servers: Annotated[int, typer.Option(help="1, or 3 for a cluster.")] = 1,
    every: Annotated[bool, typer.Option("--every", help="Retries and polls too.")] = False,
    sample: Annotated[int, typer.Option(min=1, help="Only one plan in so many.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> int:
    """Every single fault at every message of one calm run; each kind of failure once."""
    test = dotted(name)
    scenario = scenario_of(test)
    plans = single_faults(scenario, seed, every=every, servers=servers)[::sample]
    failed: list[BranchOutcome] = []
    with progress(options.output, "exhausting", "runs") as advance:
        outcomes = run_plans(test, plans, seed, servers=servers, jobs=jobs)
        for done, outcome in enumerate(outcomes, 1):
            if outcome.failure:
                failed.append(outcome)
            advance(done, len(plans))
    first: dict[str, BranchOutcome] = {}
    for outcome in sorted(failed):
        first.setdefault(outcome.failure, outcome)
    lines = [f"{counted(len(plans), 'run')}, each with one fault: {len(failed):,} failed"]
    for number, (failure, outcome) in enumerate(first.items(), 1):
        plan = plans[outcome.number]
        lines += [
            ": ".join(filter(None, (failure, outcome.text))),
            *(f"   {fault}" for fault in plan),
        ]
        if outcome.is_lost:
            continue
        path = FOLDER / f"{test.rpartition(':')[2]}-single-{number}.sim"
        run = next(run_all(scenario, [plan], seed, servers=servers))
        if run.digest != outcome.digest:
            lines.append("   it is another run when it is run alone: report this")
        save(run, path)
        lines.append(f"   {path}")
    facts = {"runs": len(plans), "failed": len(failed), "failures": sorted(first)}
    options.output.result(facts, "\n".join(lines))
    return ExitCode.FOUND if failed else ExitCode.OK


@sim_app.command()
@command
def shrink(
    options: Options,
    file: File,
    seconds: Annotated[float, typer.Option(min=1, help="How long to try.")] = 60.0,
) -> int:
    """Find the fewest and shortest faults that fail the same way; saved beside the file."""
    run = again(file)
    if run.error is None:
        tell(options, run, ["it passes on today's code: there is nothing to shrink"])
        return ExitCode.OK
    shrunk = smallest(run, seconds=seconds)
    path = file.with_name(f"{file.stem}-small.sim")
    save(shrunk.run, path)
    how = f"{shrunk.before} faults -> {len(shrunk.run.hits)} in {shrunk.runs} runs: {path}"
    tell(options, shrunk.run, [how, *faults_of(shrunk.run)])
    return ExitCode.FOUND


@sim_app.command()
@command
def coverage(
    options: Options,
    name: Name,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 100,
    every: Annotated[
        int, typer.Option(min=1, help="Try one run in so many without some of its faults.")
    ] = 20,
) -> int:
    """What faults were armed, fired, and mattered: without it the run has another trace."""
    scenario = scenario_of(dotted(name))
    table = Coverage()
    with progress(options.output, "covering", "seeds") as advance:
        for seed in range(seeds):
            run = scenario.run(seed)
            table.add(run)
            if seed % every == 0:
                table.try_without(run)
            advance(seed + 1, seeds)
    facts = {
        "armed": dict(table.armed),
        "fired": dict(table.fired),
        "tried": dict(table.tried),
        "mattered": dict(table.mattered),
        "pairs": len(table.pairs),
    }
    text = "\n".join([*table.lines(), f"{counted(len(table.pairs), 'pair')} of kinds in one run"])
    options.output.result(facts, text)
    return ExitCode.OK


def _servers(text: str) -> tuple[int, ...]:
    """`1,3` as numbers; none: as the scenario has it."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if any(part not in ("1", "3") for part in parts):
        raise InvalidSettings(f"--replicas {text}: 1 is one server, 3 a cluster; write 1, 3 or 1,3")
    return tuple(int(part) for part in parts)


def _own_modules(scenario: Scenario) -> tuple[str, ...]:
    """Where a scenario and its agents come from: what marks there say is the author's concern."""
    own = {scenario.name.partition(":")[0], *(t.state.__module__ for t in scenario.agents)}
    return tuple(sorted(own))


def _marks(coverage: Coverage) -> list[str]:
    """A line for each place in the framework that says `reached`."""
    names = sorted({*coverage.reached, *coverage.never_reached("moonlet.")})
    rows = [("reached", "seeds"), *((name, f"{coverage.reached[name]:,}") for name in names)]
    return table(rows, right=(1,))
