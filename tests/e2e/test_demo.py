"""`moonlet demo` as users run it: a process that starts a server and a host, and leaves nothing."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.support import (
    BANK,
    Ended,
    finish,
    first_line,
    processes_of,
    run,
    start,
    wait_until,
)

pytestmark = pytest.mark.timeout(180)

UP_SECONDS = 5.0
DONE_SECONDS = 30.0


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A folder, and the demo with --kill that ran in it."""
    folder = tmp_path_factory.mktemp("night")
    return folder, run("demo", "--kill", "--speed", "4", "--json", folder=folder, timeout=120)


def begun(process: "subprocess.Popen[str]") -> None:
    """Wait until the demo's host is up."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("eight satellites run"), line + process.stderr.read()


def nothing_runs(folder: Path) -> bool:
    """Whether no server and no host of the folder is left."""
    return not [line for line in processes_of(str(folder)) if "moonlet.console demo" not in line]


def test_the_demo_is_up_at_once_done_soon_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    began = time.monotonic()
    process = start("demo", folder=tmp_path)
    try:
        begun(process)
        up = time.monotonic() - began
        out, err = process.communicate(timeout=60)
        done = time.monotonic() - began
    finally:
        finish(process)
    assert process.returncode == 0, out + err
    for words in (
        "Alerts of Aegis", "emergency", "Trades of Forge: 11, each with the approval",
        "Refusals: ", "an approval comes from aegis/main only", "balance $0.00", "compensated",
        "0 lost", "0 doubled", "0 from nowhere", "commits/s", "synthetic",
        "View exposure: $", "View alerts: ", "was acknowledged by ", "View risk: 8 protocols",
        "far was cut off from tick 10 to tick 47", "  equal",
        "moonlet history aegis/main", "moonlet state fuel/main", "moonlet verify",
    ):  # fmt: skip
        assert words in out, out
    assert nothing_runs(tmp_path)
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # others' work is not ours
    assert up < UP_SECONDS * busy and done < DONE_SECONDS * busy, (up, done, busy)


def test_a_killed_host_loses_and_doubles_nothing(night: tuple[Path, Ended]) -> None:
    folder, ended = night
    assert ended.code == 0, ended
    [told] = ended.records
    assert told["clean"]
    assert told["audit"] == {"lost": [], "doubled": [], "strays": []}
    [kill] = told["kills"]
    assert kill["in_flight"] > 0
    assert 0 < kill["resumed_ms"] < 10_000
    assert not set(told["outcomes"]) - {"accepted", "rejected"}, "no innocent command was parked"
    assert told["ledger"]["balance"] == 0
    assert all(trade["approved_by"].startswith("aegis/main ") for trade in told["trades"])
    assert {line["level"] for line in told["alerts"]} == {
        "safe", "warning", "critical", "emergency",
    }  # fmt: skip
    assert nothing_runs(folder)


def test_a_replica_that_was_cut_off_ends_with_the_bytes_of_the_other(
    night: tuple[Path, Ended],
) -> None:
    folder, ended = night
    [told] = ended.records
    views = told["views"]
    assert views["equal"]
    assert (views["cut_tick"], views["mended_tick"]) == (10, 47)
    assert views["behind"] > 0, "it was cut off while others went on"
    assert [shown["view"] for shown in views["views"]] == ["exposure", "alerts", "risk"]
    agents = run("agents", "--json", folder=folder).records
    for shown in views["views"]:
        assert shown["near"] == shown["far"] != ""
        assert len(shown["frontier"]) == 3
        assert sum(shown["frontier"].values()) == sum(record["commits"] for record in agents)
    exposure, alerts, risk = (shown["value"] for shown in views["views"])
    assert exposure["total"] == sum(exposure["by_place"].values()) > 0
    apart = [people for people in alerts["acknowledged"].values() if len(people) > 1]
    assert ["ann", "bob"] in [sorted(people) for people in apart]
    assert {each["by"] for each in views["closed"]} == {"ann", "bob"}
    closed = {each["alert"] for each in views["closed"] if each["alert"].startswith("aegis/")}
    assert not closed & set(alerts["open"])
    assert all(
        {opinion["by"] for opinion in opinions} == {"pulse/main", "sage/main"}
        for opinions in risk["by_protocol"].values()
    )


def test_what_it_stored_can_be_looked_into(night: tuple[Path, Ended]) -> None:
    folder, ended = night
    [told] = ended.records
    for line in told["look_further"]:
        program, *arguments = line.split()
        assert program == "moonlet"
        looked = run(*arguments, folder=folder)
        assert looked.code == 0, looked
        assert looked.out
    agents = run("agents", "--json", folder=folder).records
    assert [record["agent"].partition("/")[0] for record in agents] == [
        "aegis", "bridge", "echo", "forge", "fuel", "oracle", "pulse", "sage",
    ]  # fmt: skip
    doctor = run("doctor", "--json", folder=folder)
    assert doctor.code == 0, doctor
    levels = {record["check"]: record["level"] for record in doctor.records}
    assert (levels["streams"], levels["foreign subjects"]) == ("OK", "OK")
    verified = run("verify", "--json", folder=folder).records[-1]
    assert verified["commits"] == verified["decided"] == sum(r["commits"] for r in agents)
    assert verified["faults"] == 0


def test_it_goes_on_with_keep_and_else_starts_fresh(night: tuple[Path, Ended]) -> None:
    folder, _ = night
    [kept] = run("demo", "--keep", "--speed", "20", "--json", folder=folder).records
    assert (kept["clean"], kept["first_tick"]) == (True, 67)
    [fresh] = run("demo", "--speed", "20", "--json", folder=folder).records
    assert (fresh["clean"], fresh["first_tick"]) == (True, 1)


def test_it_goes_on_in_the_one_journal_of_an_older_demo(tmp_path: Path) -> None:
    host = start("run", "moonlet.satellites", folder=tmp_path)
    try:
        first_line(host)  # as whoever isn't told of three: all in one
    finally:
        host.terminate()
        finish(host)
    [told] = run("demo", "--keep", "--speed", "20", "--json", folder=tmp_path).records
    assert told["clean"]
    assert list(told["views"]["views"][0]["frontier"]) == ["moon-journal-main"]
    verified = run("verify", "--json", folder=tmp_path).records[-1]
    assert (verified["agents"], verified["faults"]) == (8, 0)
    [fresh] = run("demo", "--speed", "20", "--json", folder=tmp_path).records
    assert (fresh["clean"], len(fresh["views"]["views"][0]["frontier"])) == (True, 3)


def test_it_erases_nobody_else_s_agents(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(BANK)
    host = start("run", "bank", folder=tmp_path)
    try:
        first_line(host)
        asked = ("ask", "account/alice", "Deposit", '{"amount": 5}', "--module", "bank")
        assert run(*asked, folder=tmp_path).out == "5\n"
    finally:
        host.terminate()
        finish(host)
    refused = run("demo", folder=tmp_path)
    assert refused.code == 2
    assert "account/alice, agent type account" in refused.err
    assert "--data DIR" in refused.err
    assert [r["agent"] for r in run("agents", "--json", folder=tmp_path).records] == [
        "account/alice"
    ]


def test_a_running_server_is_not_emptied(night: tuple[Path, Ended]) -> None:
    folder, _ = night
    server = start("up", folder=folder)
    try:
        first_line(server)
        refused = run("demo", folder=folder)
    finally:
        server.terminate()
        finish(server)
    assert refused.code == 69
    assert f"process {server.pid} runs the server" in refused.err
    assert len(run("agents", "--json", folder=folder).records) == 8


@pytest.fixture
def demo(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A demo whose host is up."""
    process = start("demo", "--data", str(tmp_path), folder=tmp_path)
    try:
        begun(process)
        assert len(processes_of(str(tmp_path))) >= 2, "the server, and the demo itself"
        yield process
    finally:
        finish(process)


def host_pids(process: "subprocess.Popen[str]") -> list[str]:
    """The children of the demo that are hosts."""
    return [line for line in processes_of("moonlet.console run") if "until-stdin" in line]


def test_a_killed_demo_leaves_nothing_running(
    demo: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    urls = {line.split("--url ")[1].split()[0] for line in host_pids(demo)}
    mine = [url for url in urls if url in (tmp_path / ".moonlet" / "lock").read_text()]
    assert len(mine) == 1
    demo.send_signal(signal.SIGKILL)
    demo.wait(10)
    wait_until(lambda: not processes_of(str(tmp_path)), timeout=10)
    wait_until(lambda: not processes_of(f"--url {mine[0]}"), timeout=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_stops_all_it_started(
    demo: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
) -> None:
    url = json.loads((tmp_path / ".moonlet" / "lock").read_bytes())["url"]
    demo.send_signal(number)
    out, err = demo.communicate(timeout=20)
    assert demo.returncode == 130, out + err
    assert "Traceback" not in err
    assert processes_of(str(tmp_path)) == []
    assert processes_of(f"--url {url}") == []


def test_a_feed_of_one_s_own_is_driven_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    header = "time_utc,open,high,low,close,volume\n"
    rows = [f"2023-03-11T0{hour}:00:00Z,1,1,0.9,0.9{hour},5\n" for hour in range(1, 6)]
    (tmp_path / "feed.csv").write_text(header + "".join(rows))
    [told] = run("demo", "--feed", "feed.csv", "--speed", "20", "--json", folder=tmp_path).records
    assert (told["clean"], told["ticks"]) == (True, 5)
    (tmp_path / "wrong.csv").write_text(header + rows[0].replace("0.91", "cheap"))
    refused = run("demo", "--feed", "wrong.csv", folder=tmp_path)
    assert refused.code == 2
    assert "line 2, column close: 'cheap' is not a number" in refused.err
    assert len(run("agents", "--json", folder=tmp_path).records) == 8, "nothing was erased"
