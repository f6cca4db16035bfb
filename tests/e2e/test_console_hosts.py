"""`moonlet up` and `moonlet run`: how they begin, how they end, and with whom."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.support import BANK, finish, first_line, processes_of, run, start, wait_until

pytestmark = pytest.mark.timeout(120)

ASK = ("ask", "account/alice", "Deposit", '{"amount": 5}', "--module", "bank")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bank.py").write_text(BANK)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    process = start("up", "--json", folder=folder)
    try:
        yield process
    finally:
        finish(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_in_the_foreground_ends_when_told_to(
    server: "subprocess.Popen[str]", folder: Path, number: signal.Signals
) -> None:
    told = json.loads(first_line(server))
    assert told["url"].startswith("nats://127.0.0.1:")
    assert run("doctor", folder=folder).code == 0
    second = run("up", folder=folder)
    assert second.code == 69
    assert f"process {server.pid} runs this folder's server already" in second.err
    server.send_signal(number)
    assert server.wait(10) == 0
    assert processes_of(str(folder)) == []


def test_a_server_that_is_killed_ends_the_command(
    server: "subprocess.Popen[str]", folder: Path
) -> None:
    first_line(server)
    [line] = [line for line in processes_of(str(folder)) if "nats-server" in line]
    subprocess.run(["kill", "-9", line.split()[0]], check=True)
    _, err = server.communicate(timeout=10)
    assert server.returncode == 69
    assert "ended by itself" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_host_hands_over_and_ends_within_ten_seconds(
    server: "subprocess.Popen[str]", folder: Path, number: signal.Signals
) -> None:
    first_line(server)
    first = start("run", "bank", "--json", folder=folder)
    second = None
    try:
        told = json.loads(first_line(first))
        assert (told["types"], bool(told["host"])) == (["account"], True)
        assert run(*ASK, folder=folder).out == "5\n"
        second = start("run", "bank:account", folder=folder)
        first_line(second)
        began = time.monotonic()
        first.send_signal(number)
        _, err = first.communicate(timeout=15)
        assert (first.returncode, time.monotonic() - began < 10) == (0, True)
        assert "handed over" not in err, "--json says nothing beside results"
        assert run(*ASK, folder=folder).out == "10\n"
    finally:
        finish(first)
        if second is not None:
            finish(second)


def test_a_host_that_is_killed_is_taken_over_within_its_lease(
    server: "subprocess.Popen[str]", folder: Path
) -> None:
    first_line(server)
    hosts = [start("run", "bank", "--lease", "1", folder=folder) for _ in range(2)]
    try:
        for host in hosts:
            first_line(host)
        assert run(*ASK, folder=folder).out == "5\n"
        hosts[0].kill()
        assert run(*ASK, "--timeout", "10", folder=folder).out == "10\n"
    finally:
        for host in hosts:
            finish(host)


def test_a_host_whose_folder_s_server_ended_says_so(
    server: "subprocess.Popen[str]", folder: Path
) -> None:
    first_line(server)
    host = start("run", "bank", folder=folder)
    try:
        first_line(host)
        server.terminate()
        server.wait(10)
        _, err = host.communicate(timeout=30)
        assert host.returncode == 69
        assert "has ended: start it with `moonlet up`" in err
        assert "Traceback" not in err
    finally:
        finish(host)


def test_a_host_can_end_with_the_process_that_holds_its_stdin(
    server: "subprocess.Popen[str]", folder: Path
) -> None:
    url = json.loads(first_line(server))["url"]
    host = start("run", "bank", "--until-stdin-closes", "--url", url, folder=folder)
    try:
        first_line(host)
        assert host.stdin is not None
        host.stdin.close()
        wait_until(lambda: host.poll() is not None, timeout=10)
        assert host.returncode == 0
    finally:
        host.stdin = None
        finish(host)


def test_a_host_that_started_the_server_stops_it(folder: Path) -> None:
    host = start("run", "bank", folder=folder)
    try:
        first_line(host)
        assert [line for line in processes_of(str(folder)) if "nats-server" in line]
        host.send_signal(signal.SIGTERM)
        assert host.wait(15) == 0
    finally:
        finish(host)
    assert processes_of(str(folder)) == []


def test_a_module_that_is_not_there_is_said_before_anything_starts(folder: Path) -> None:
    ended = run("run", "nowhere", folder=folder)
    assert ended.code == 2
    assert "no module 'nowhere'" in ended.err
    assert not (folder / ".moonlet").exists()
    assert run("run", "bank", "--lease", "0", folder=folder).code == 2
