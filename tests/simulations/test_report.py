"""What a failing seed prints, as a user has it: plain pytest in a project, and the line copied."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from moonlet.simulations.replay import read_sim

TEST = """
import msgspec

from moonlet.agents import AgentType, Decision
from moonlet.simulations import World, faults, simulate


class Add(msgspec.Struct, frozen=True):
    pass


class Added(msgspec.Struct, frozen=True):
    pass


class Count(msgspec.Struct, frozen=True):
    count: int = 0


counter = AgentType("counter", Count, partitions=1)


@counter.on_command
def add(state: Count, command: Add) -> Decision:
    yield Added()


@counter.on_event
def added(state: Count, event: Added) -> Count:
    return Count(state.count + 1)


@simulate(seeds=40, agents=[counter], hosts=2, horizon="4s", faults=faults.only("crash", "pause"))
async def test_hosts_never_die(world: World) -> None:
    async with world.client() as moon:
        for _ in range(5):
            await moon.tell("counter/a", Add())
            await world.advance("500ms")
    assert all(process.node.up for process in world.hosts.values()), "a host is down"
"""


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as if it had been copied into a terminal in that folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        line, cwd=folder, env=environment, shell=True, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.timeout(240)
def test_a_failing_seed_is_told_and_run_again_by_the_line_that_it_prints(tmp_path: Path) -> None:
    (tmp_path / "test_hosts.py").write_text(TEST)
    failed = shell("python -m pytest -q -p no:cacheprovider test_hosts.py", tmp_path)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    told = [line.removeprefix("E").strip() for line in failed.stdout.splitlines()]
    text = "\n".join(told)
    assert re.search(
        r"test_hosts_never_die  seed \d+  \(\d+ passed before, [\d.]+ s\)\n"
        r"AssertionError: a host is down\n"
        r"(?:.*\n)*?"  # what pytest says of the assertion
        r"happened.*\n"
        r"(?:[->]? *[\d.]+m?s  counter/a@\d  Add {} -> Added\n){1,10}"
        r"(?:first difference to the run that passes: event \d+, t=.*\n)?"
        r"shrunk   \d+ faults? -> 1   \(\d+ runs, [\d.]+ s; reproduced in a fresh process\)\n"
        r"1  crash [\d.]+m?s   h\d   t=[\d.]+m?s\n"
        r"next     moonlet sim explain \.moonlet/seeds/\S+\.sim",
        text,
    ), text
    assert "simulation_run.py" not in failed.stdout, "the framework's frames are nobody's concern"
    (line,) = {line.split(maxsplit=1)[1] for line in told if line.startswith("next ")}
    again = shell(line, tmp_path)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "a host is down" in again.stdout
    (kept,) = (tmp_path / ".moonlet" / "seeds").glob("*.sim")
    assert kept.stat().st_size <= 64 * 1024
    assert len(read_sim(kept).header.plan) == 1
    mended = TEST.replace('world.hosts.values()), "a host', 'world.hosts.values()) or 1, "a host')
    (tmp_path / "test_hosts.py").write_text(mended)
    assert shell(line, tmp_path).returncode == 0
    assert shell("python -m pytest -q -p no:cacheprovider", tmp_path).returncode == 0
