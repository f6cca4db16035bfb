"""`moonlet sim`: seeds are swept, failures kept, replayed, shrunk, explained and compared."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from moonlet.agents import Host, connect
from moonlet.console.sim.plans import run_plans
from moonlet.simulations.search import single_faults
from moonlet.streams.server.server_process import ServerProcess
from tests.console.support import (
    BANK,
    finish,
    first_line,
    invoke,
    processes_of,
    run,
    start,
    wait_until,
)
from tests.simulations.small import Add, counter, hasty

FINE = "tests.simulations.small:fine"
HASTY = "tests/simulations/small.py:hasty"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept goes to a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


def facts(*arguments: str, code: int = 0) -> dict[str, Any]:
    ended = invoke("sim", *arguments, "--json")
    assert ended.code == code, ended
    found: dict[str, Any] = json.loads(ended.out.splitlines()[-1])
    return found


def test_a_sweep_says_how_fast_it_was_and_goes_on_where_it_ended() -> None:
    ended = invoke("sim", "sweep", FINE, "--seeds", "4")
    assert ended.code == 0
    assert "4 seeds in" in ended.out and "virtual : real" in ended.out
    assert facts("sweep", FINE, "--seeds", "3", "--resume")["seeds"] == 3
    assert Path(".moonlet/seeds/tests-simulations-small-fine.next").read_text() == "7\n"


def test_a_failing_seed_is_kept_and_every_verb_tells_of_it() -> None:
    swept = facts("sweep", HASTY, "--seeds", "200", code=1)
    file = swept["file"]
    replayed = facts("replay", file, code=1)
    assert replayed["seed"] == swept["failed"] and replayed["failure"]
    assert replayed["faults"]
    assert facts("replay", file, "--without", "1")["failure"] == ""
    assert facts("shrink", file, code=1)["failure"] == replayed["failure"]
    explained = invoke("sim", "explain", file)
    assert "not committed in time" in explained.out and "states at the end" in explained.out
    assert "go on: moonlet sim replay" in explained.out and "what it takes" in explained.out
    assert facts("diff", file, file)["event"] is None
    (record,) = invoke("sim", "explain", file, "--bundle", "x.moonlet", "--json").records
    assert record["states"] == {} and record["failure"] == replayed["failure"]
    assert invoke("bundle", "open", "x.moonlet").code == 0, "what the world's server held"


def test_every_single_fault_is_tried_and_each_failure_told_once() -> None:
    found = facts("exhaust", HASTY, "--sample", "2", code=1)
    assert 0 < found["failed"] < found["runs"]
    assert len(found["failures"]) == 1
    assert facts("exhaust", HASTY, "--sample", "2", "--jobs", "2", code=1) == found
    kept = Path(".moonlet/seeds/hasty-single-1.sim")
    assert facts("replay", str(kept), code=1)["failure"] == found["failures"][0]


def test_where_processes_can_not_fork_every_run_begins_at_its_beginning() -> None:
    name = "tests.simulations.small:hasty"
    plans = single_faults(hasty)[:50]
    whole = list(run_plans(name, plans, 0, servers=1, jobs=2, fork=False))
    assert [outcome.number for outcome in whole] == list(range(len(plans)))
    assert sorted(run_plans(name, plans, 0, servers=1, jobs=2)) == whole


HURT = (
    BANK
    + """
import os
from moonlet.simulations import faults, simulate

@simulate(seeds=1, agents=[account], hosts=1, faults=faults.only("crash"), horizon="1s")
async def test_without_end(world):
    while world.now < 2:
        await world.advance("50ms")
        if not world.hosts["h1"].node.up:
            os.write(1, b"hurt\\n")
            while True:
                pass
"""
)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_processes_of_an_exhaustive_sweep_end_with_it_however_it_ends(
    sign: signal.Signals, tmp_path: Path
) -> None:
    module = f"hurt_{sign.name}_{os.getpid()}"  # others look for processes by name at this moment
    (tmp_path / f"{module}.py").write_text(HURT)
    name = f"{module}:test_without_end"
    sweep = start("sim", "exhaust", name, "--jobs", "2", folder=tmp_path)
    try:
        assert first_line(sweep) == "hurt\n"
        assert len(processes_of(name)) >= 3
        sweep.send_signal(sign)
        sweep.wait(timeout=10)
        wait_until(lambda: not processes_of(name), timeout=10)
    finally:
        finish(sweep)


DYING = HURT.replace("while True:\n                pass", "os._exit(3)")


def test_runs_without_a_result_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text(DYING)
    ended = run("sim", "exhaust", "dying:test_without_end", folder=tmp_path)
    assert ended.code == 1, ended
    assert "no result: its process ended with 3" in ended.out
    assert "   crash 4s   h1" in ended.out


NOTED = (
    BANK
    + """
import os
from pathlib import Path
from moonlet.simulations import simulate

@simulate(seeds=1, agents=[account])
async def test_without_end(world):
    while True:
        await world.advance("1s")

Path("pids", str(os.getpid())).touch()
"""
)


def test_the_processes_of_a_sweep_end_with_it_also_when_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "noted.py").write_text(NOTED)
    arguments = ("sim", "sweep", "noted:test_without_end", "--seeds", "20", "--jobs", "2")
    sweep = start(*arguments, folder=tmp_path)
    try:
        wait_until(lambda: len(list((tmp_path / "pids").iterdir())) == 3, timeout=60)
        sweep.kill()
        sweep.wait(timeout=10)
        for file in (tmp_path / "pids").iterdir():
            wait_until(lambda file=file: not lives(int(file.name)), timeout=10)  # type: ignore[misc]
    finally:
        finish(sweep)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_coverage_says_what_fired_and_what_mattered() -> None:
    found = facts("coverage", HASTY, "--seeds", "12", "--every", "3")
    assert found["fired"]["crash"] and found["mattered"]["crash"]


@pytest.mark.parametrize("name", ["tests.simulations.small", "tests.simulations.small:gone"])
def test_a_test_that_is_none_is_the_users_mistake(name: str) -> None:
    assert invoke("sim", "sweep", name).code == 2


def test_a_file_that_is_none_is_the_users_mistake(tmp_path: Path) -> None:
    assert invoke("sim", "replay", str(tmp_path / "gone.sim")).code == 2


def test_a_sweep_tells_which_rare_places_were_come_to() -> None:
    ended = invoke("sim", "sweep", "tests.simulations.small:marked", "--seeds", "3", "--marks")
    assert "never reached: more than three are asked for" in ended.out
    assert "a gap in deliveries" in ended.out
    found = facts("sweep", "tests.simulations.small:marked", "--seeds", "3")
    assert found["reached"]["three are counted"] == 3
    assert found["never_reached"] == ["more than three are asked for"]


async def bank(url: str) -> None:
    """A counter with three commits, and one command that waits."""
    async with connect(url) as moon:
        async with Host(moon, [counter]):
            for _ in range(3):
                await moon.ask("counter/a", Add())
        await moon.tell("counter/b", Add())


def test_the_history_of_a_server_is_taken_told_and_continued(own_server: ServerProcess) -> None:
    asyncio.run(bank(own_server.url))
    ended = invoke("sim", "import", "bank.bundle", "--url", own_server.url)
    assert ended.code == 0, ended
    assert ended.out.splitlines()[:2] == [
        "TYPE     AGENTS  COMMITS  WAITING",
        "counter       1        3        1",
    ]
    assert invoke("sim", "history", "bank.bundle").out == ended.out
    told = facts("history", "bank.bundle")
    assert told["types"] == {"counter": {"agents": 1, "commits": 3, "waiting": 1}}
    assert facts("sweep", "tests.simulations.small:continued", "--seeds", "5")["failed"] is None


def test_an_import_that_can_not_be_is_said_with_its_exit_code(own_server: ServerProcess) -> None:
    here = ("sim", "import", "bank.bundle", "--url")
    empty = invoke(*here, own_server.url)
    assert (empty.code, "no journals of agents" in empty.err) == (2, True)
    assert not Path("bank.bundle").exists()
    away = invoke(*here, "nats://127.0.0.1:1")
    assert away.code == 69, away
    Path("bank.bundle").write_bytes(b"x")
    there = invoke(*here, own_server.url)
    assert (there.code, "is there already" in there.err) == (2, True)
    assert invoke("sim", "import", "no/where.bundle", "--url", own_server.url).code == 2
    assert invoke("sim", "history", "bank.bundle").code == 2
    Path("bank.bundle").write_bytes(b"moonlet bundle 1 00\n")
    assert invoke("sim", "history", "bank.bundle").code == 65
