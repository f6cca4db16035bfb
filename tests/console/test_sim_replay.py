"""`moonlet sim replay`: up to a moment, from an event on, in plain order, and in the debugger."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.simulations.reference import reference
from moonlet.simulations.replay import replay, save
from moonlet.simulations.scenario import Run, Scenario
from moonlet.simulations.search import first_difference, told
from moonlet.simulations.world import standing_of
from tests.console.page import alike, typed
from tests.console.support import Ended, invoke, run
from tests.console.terminal import PROMPT, Terminal
from tests.simulations.small import fine, hasty, promised, race
from tests.tools import markdown, tree
from tests.tools.tree import ROOT

SEEDS = 200
PAGES = ("docs/agents.md", "docs/simulation.md")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go to a folder of the test's own, from which processes find the scenarios too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")


def kept(scenario: Scenario, wanted: Callable[[Run], object]) -> tuple[str, Run]:
    """The first run that is as wanted, and its file."""
    found = next(r for seed in range(SEEDS) if wanted(r := scenario.run(seed)))
    save(found, Path("kept.sim"))
    return "kept.sim", replay(Path("kept.sim"))


def facts(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    ended = invoke("sim", "replay", *arguments, "--json")
    assert ended.code == code, ended
    return ended.records


def in_plain_order(run: Run) -> Run:
    save(run, Path("tried.sim"))
    return replay(Path("tried.sim"), fifo=True)


def moment(ns: int) -> str:
    return f"{ns / 1_000:.3f}us"


def test_it_stops_at_a_moment_and_says_how_things_stand() -> None:
    file, whole = kept(reference, lambda run: len(run.hits) > 3 and run.commits > 10)
    commits = [event for event in whole.trace.events if event[3] == "commit"]
    at_ns = commits[7][1]
    (found,) = facts(file, "--until", moment(at_ns))
    standing = found["standing"]
    assert standing["at_ns"] == at_ns and found["failure"] == ""
    revisions: dict[str, int] = {}
    for _, when, _, _, fields in commits:
        if when <= at_ns:  # what happens at that very moment has happened
            revisions[str(fields[0])] = int(fields[1] or 0)
    assert {agent["agent"]: agent["revision"] for agent in standing["agents"]} == revisions
    assert sum(revisions.values()) >= 8
    assert all(set(agent["state"]) == {"balance"} for agent in standing["agents"])
    fired = [e for e in whole.trace.events if e[3] == "fault" and e[1] <= at_ns]
    assert len(standing["faults"]) == len(fired)
    assert any("h1/host h1 waits in" in line for line in standing["waiting"])
    assert all(any(name in line for line in standing["hosts"]) for name in ("h1", "h2", "h3"))
    told_of_it = invoke("sim", "replay", file, "--until", moment(at_ns)).out
    for heading in ("durable\n", "faults so far\n", "not done yet\n", "hosts\n", "waiting\n"):
        assert heading in told_of_it
    assert f"digest so far: {standing['digest']}\nstopped at t=" in told_of_it


def test_the_digest_up_to_a_moment_is_that_of_any_process(tmp_path: Path) -> None:
    file, whole = kept(reference, lambda run: run.commits > 10)
    halves = [moment(whole.virtual_ns // 2), moment(whole.virtual_ns // 2 + 10**9)]
    here = [facts(file, "--until", at)[0]["digest"] for at in halves]
    ended = run("sim", "replay", file, "--until", halves[0], "--json", folder=tmp_path)
    assert ended.records[0]["digest"] == here[0] != here[1]
    assert facts(file, "--until", halves[0], "--exact")[0]["digest"] == here[0]


def test_to_stop_and_look_changes_nothing_of_what_comes_after() -> None:
    whole = reference.run(3)
    seen: list[int] = []

    def look(world: Any) -> None:
        seen.append(world.loop.now_ns)
        assert standing_of(world).digest != whole.digest

    assert reference.run(3, halt=(9 * 10**9, look)).digest == whole.digest
    assert seen == [9 * 10**9]


def test_a_moment_beyond_the_end_is_told() -> None:
    file, whole = kept(hasty, lambda run: run.error is not None)
    ended = invoke("sim", "replay", file, "--until", "10m")
    assert ended.code == 1
    assert "the run ended at t=" in ended.out and "before 10m" in ended.out
    assert "not committed in time" in ended.out
    assert facts(file, "--until", "10m", code=1)[-1]["ended_ns"] == whole.virtual_ns


def test_the_first_difference_of_a_failure_is_the_event_of_that_number() -> None:
    file, whole = kept(hasty, lambda run: run.error is not None and run.hits)
    name, _, rest = first_difference(whole).partition(", ")
    number = int(name.removeprefix("event "))
    ended = invoke("sim", "replay", file, "--from-event", str(number))
    assert ended.out.splitlines()[0] == f"{number:6}  {rest}"


def test_events_come_from_a_number_on_and_up_to_a_moment() -> None:
    file, whole = kept(hasty, lambda run: run.error is not None)
    events = whole.trace.events
    lines = invoke("sim", "replay", file, "--from-event", "3").out.splitlines()
    assert lines[: len(events) - 2] == [f"{n:6}  {told(e)}" for n, e in enumerate(events, 1)][2:]
    at_ns = events[5][1]
    inside = [event for event in events if event[1] <= at_ns]
    *found, last = facts(file, "--from-event", "3", "--until", moment(at_ns))
    assert [tuple(each.values()) for each in found] == [
        (number, *msgspec.json.decode(msgspec.json.encode(event)))
        for number, event in enumerate(inside[2:], 3)
    ]
    assert [*found[0]] == ["event", "step", "ns", "node", "kind", "fields"]
    assert last["standing"]["at_ns"] == at_ns


def test_in_plain_order_a_failure_that_needs_the_schedule_passes() -> None:
    file, whole = kept(race, lambda run: run.error is not None)
    ended = invoke("sim", "replay", file, "--fifo")
    assert ended.code == 0, ended
    assert "another run, whose digest is compared with none" in ended.out
    assert "it passes: the failure needs the schedule" in ended.out
    (found,) = facts(file, "--fifo")
    assert (found["failure"], found["kept_failure"]) == ("", whole.failure)
    for seed in range(20):
        save(race.run(seed), Path(f"{seed}.sim"))
        assert replay(Path(f"{seed}.sim"), fifo=True).error is None


def test_in_plain_order_a_failure_that_a_fault_causes_fails_in_the_same_way() -> None:
    file, whole = kept(hasty, lambda run: run.error is not None and in_plain_order(run).error)
    ended = invoke("sim", "replay", file, "--fifo")
    assert ended.code == 1
    assert "it fails in the same way: the failure does not need the schedule" in ended.out
    stopped = invoke("sim", "replay", file, "--fifo", "--until", "10ms")
    assert stopped.code == 0 and "whether it fails is not known" in stopped.out
    save(fine.run(0), Path("fine.sim"))
    assert "nothing to compare" in invoke("sim", "replay", "fine.sim", "--fifo").out
    assert facts(file, "--fifo", code=1)[0]["failure"] == whole.failure


def test_several_faults_can_be_left_out() -> None:
    file, whole = kept(reference, lambda run: len(run.hits) > 3)
    all_but_two = [str(fault) for fault in (*whole.hits[1:2], *whole.hits[3:])]
    found = replay(Path(file), without=(1, 3)).plan
    assert msgspec.to_builtins(found.hits) != msgspec.to_builtins(whole.hits)
    (told_of_it,) = facts(file, "--without", "1", "--without", "3")
    assert set(told_of_it["faults"]) <= set(all_but_two)


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (["--until", "-1s"], "--until -1s: a run begins at 0s", "give a later moment, as 3.2s"),
        (["--until", "3"], "--until '3' is no duration", "write a number and a unit"),
        (["--until", ""], "--until '' is no duration", "write a number and a unit"),
        (["--until", "soon"], "--until 'soon' is no duration", "write a number and a unit"),
        (["--from-event", "0"], "--from-event 0", "events are counted from 1"),
        (["--from-event", "9999"], "--from-event 9999: there are", "name one of these"),
        (["--from-event", "2", "--until", "1us"], "0 events until 1us", "name one of these"),
        (["--from-event", "2", "--events"], "--events prints all", "leave out one"),
        (["--exact", "--fifo"], "--exact and --fifo", "leave out one"),
        (["--exact", "--without", "1"], "--exact and --without", "leave out one"),
        (["--without", "0"], "without 0", "`explain` lists them"),
        (["--without", "7"], "without 7: the plan has the faults 1 to", "`explain` lists them"),
        (["--pdb", "--json"], "--pdb talks to a person", "leave one of them out"),
        (["--pdb"], "--pdb needs a terminal", "run it in one, or print how things stand"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_the_remedy(
    arguments: list[str], what: str, remedy: str
) -> None:
    file, _ = kept(hasty, lambda run: run.error is not None)
    ended = invoke("sim", "replay", file, *arguments)
    assert (ended.code, ended.out) == (2, ""), ended
    said = ended.err
    if "--json" in arguments:
        said = f"{json.loads(said)['error']}: {json.loads(said)['message']}\n"
    assert said.startswith("InvalidSettings: ") and what in said and remedy in said, ended
    assert said.count("\n") <= 2 and len(said) < 200


@pytest.mark.timeout(180)
def test_the_debugger_stops_in_the_world_and_where_the_run_failed(tmp_path: Path) -> None:
    file, whole = kept(hasty, lambda run: run.error is not None)
    with Terminal("sim", "replay", file, "--pdb", "--until", "1s", folder=tmp_path) as terminal:
        assert "`world` is at hand" in terminal.read()
        assert terminal.say("p world.now, world.phases.name").startswith("(1.0, ")
        assert terminal.say("import time; time.time()").startswith("1700000001.0")
        assert terminal.say(f"len(open({str(ROOT / 'README.md')!r}).read()) > 9").startswith("True")
        failed = terminal.say("c")  # the guard was in nobody's way: it fails as it ever did
        assert "AssertionError: not committed in time" in failed and "impatient()" in failed
        assert terminal.say("p committed").startswith("{}")
        assert terminal.say("p round(world.now * 1e9)").startswith(str(whole.virtual_ns))
        assert terminal.say("q").endswith("AssertionError: not committed in time\n")
        assert terminal.end() == 1


@pytest.mark.timeout(180)
def test_where_a_promise_broke_the_debugger_has_the_check_and_the_world(tmp_path: Path) -> None:
    file, _ = kept(promised, lambda run: run.error is not None)
    with Terminal("sim", "replay", file, "--pdb", folder=tmp_path) as terminal:
        assert "fewer than three: after counter/a r3" in terminal.read()
        assert terminal.say("p snapshot['counter/a'].count, self.now > 0").startswith("(3, True)")
        terminal.say("q")
        assert terminal.end() == 1


@pytest.mark.timeout(180)
def test_who_quits_the_debugger_ends_the_run(tmp_path: Path) -> None:
    file, _ = kept(hasty, lambda run: run.error is not None)
    with Terminal("sim", "replay", file, "--pdb", "--until", "1s", folder=tmp_path) as terminal:
        terminal.read()
        assert "the run was ended in the debugger" in terminal.say("q")
        assert terminal.end() == 0


def test_a_process_without_a_terminal_is_told_so(tmp_path: Path) -> None:
    file, _ = kept(hasty, lambda run: run.error is not None)
    ended: Ended = run("sim", "replay", file, "--pdb", folder=tmp_path, stdin="c\n")
    assert (ended.code, ended.out) == (2, "")
    assert "needs a terminal" in ended.err and os.linesep not in ended.err.strip()


@pytest.mark.timeout(180)
def test_the_session_in_the_docs_is_what_is_shown(tmp_path: Path) -> None:
    pages = [markdown.parse(Path(name), tree.read(Path(name))) for name in PAGES]
    for code in (code for page in pages for code in page.codes):
        if code.text.startswith(("# orders.py", "# test_hasty_orders.py")):
            Path(code.text.split()[1]).write_text(code.text)
    (session,) = [code for code in pages[1].codes if "(Pdb)" in code.text]
    (swept,) = [code for code in pages[1].codes if "sim sweep test_hasty" in code.text]
    for each in typed(pages[1]):
        if swept.line <= each.line < swept.line + len(swept.text.splitlines()):
            ended = run(*each.command.split()[1:], folder=tmp_path)
            shown = [*ended.err.splitlines(), *ended.out.splitlines()]
            assert alike(each.output, shown), (each, ended)
    command, *rest = session.text.splitlines()
    told_of_it: list[str] = []
    with Terminal(*command.split()[2:], folder=tmp_path) as terminal:
        told_of_it = [command, *terminal.read().splitlines()]
        for line in (line for line in rest if line.startswith(PROMPT)):
            told_of_it[-1] = line
            told_of_it += terminal.say(line.removeprefix(PROMPT)).splitlines()
        assert terminal.end() == 1
    assert alike([command, *rest], told_of_it), "\n".join(told_of_it)


def test_runs_whose_files_begin_at_different_events_are_compared_by_number() -> None:
    save(fine.run(0), Path("whole.sim"))
    lines = Path("whole.sim").read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("["))
    cut = [*lines[:place], '{"left_out":1}', *lines[place + 1 :]]
    Path("cut.sim").write_text("\n".join(cut))
    same = invoke("sim", "diff", "whole.sim", "cut.sim")
    assert same.code == 0, same
    place = next(number for number, line in enumerate(cut) if line.startswith("["))
    cut[place] = cut[place].replace('"', '"x', 1)
    Path("cut.sim").write_text("\n".join(cut))
    assert invoke("sim", "diff", "whole.sim", "cut.sim").out.startswith(
        "every agent's history is the same; event 2\n"
    )
