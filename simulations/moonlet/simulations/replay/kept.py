"""Runs as files: kept when a seed fails, run again from the explicit plan of its faults.

The plan and the profile stand in the file, so it goes on meaning the same when the generators
change; the seed alone would not.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import msgspec

from moonlet.core.errors import InvalidSettings
from moonlet.simulations.bundle import digest_of
from moonlet.simulations.faults import Fault, Profile
from moonlet.simulations.replay.sim_file import SimHeader, read_sim, write_sim
from moonlet.simulations.scenario import Halt, Run, Scenario
from moonlet.simulations.trace import Trace


def save(run: Run, path: Path) -> None:
    """Write the run's file, with its folder if need be."""
    header = SimHeader(
        test=run.scenario.name,
        seed=run.seed,
        replicas=run.profile.servers,
        history=digest_of(run.scenario.history) if run.scenario.history else "",
        plan=[msgspec.to_builtins(fault) for fault in run.hits],
        profile=msgspec.to_builtins(run.profile),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sim(path, header.here(), run.trace)


def replay(
    path: Path,
    *,
    exact: bool = False,
    without: Sequence[int] = (),
    fifo: bool = False,
    halt: Halt | None = None,
    keep: bool = False,
) -> Run:
    """Run the file's plan on today's code. `without` leaves out faults, counted from 1.

    `exact` ends with `Diverged` at the first block that differs from the recorded run. `fifo` gives
    every message the least latency of the run's profile, so that all arrive as they were sent;
    `halt` and `keep` are those of `Scenario.run`. Raises `ValueError` for a file that is none,
    `InvalidSettings` if its test can't be found.
    """
    found = read_sim(path)
    header = found.header
    plan = msgspec.convert(header.plan, list[Fault])
    for number in without:
        if not 1 <= number <= len(plan):
            has = f"the faults 1 to {len(plan)}" if plan else "no faults"
            raise InvalidSettings(f"without {number}: the plan has {has}; `explain` lists them")
    plan = [fault for number, fault in enumerate(plan, 1) if number not in without]
    profile = msgspec.convert(header.profile, Profile)
    if fifo:
        profile = msgspec.structs.replace(profile, latency=(profile.latency[0],) * 2)
    scenario = scenario_of(header.test)
    if header.history and header.history != digest_of(scenario.history):
        raise InvalidSettings(
            f"{path} began with another bundle than {scenario.history} is now: put that one back"
        )
    return scenario.run(
        header.seed,
        plan=plan,
        profile=profile,
        trace=Trace(expected=found.checkpoints) if exact else None,
        halt=halt,
        keep=keep,
    )


def scenario_of(name: str) -> Scenario:
    """The scenario called `module:function`; raises `InvalidSettings` if there is none."""
    module_name, _, function = name.partition(":")
    module = _module(module_name)
    found = getattr(module, function, None)
    scenario = found if isinstance(found, Scenario) else getattr(found, "scenario", None)
    if not isinstance(scenario, Scenario):
        raise InvalidSettings(
            f"{name}: there is no simulated test of that name; was it renamed, or is it made inside"
            " a function?"
        )
    return scenario


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None:
            raise
        if not name.startswith(error.name):
            raise InvalidSettings(
                f"{name} imports {error.name}, which is not there: start in the project's folder"
            ) from None
    files = sorted(Path.cwd().rglob(f"{name.replace('.', '/')}.py"))
    if not files:
        raise InvalidSettings(f"{name}: no such module; replay it from the project's folder")
    spec = importlib.util.spec_from_file_location(name, files[0])
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
