"""`moonlet run` is two processes: one runs agents, the other hears it live, and begins anew."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.support import finish, first_line, run, start, wait_until

MODULE = """
import ctypes, os, signal
import msgspec
from moonlet.agents import AgentType, Decision, Reply

class Step(msgspec.Struct, frozen=True):
    pass

class Hold(msgspec.Struct, frozen=True):
    pass

class Die(msgspec.Struct, frozen=True):
    pass

class Steps(msgspec.Struct, frozen=True):
    pass

loops = AgentType("loops", Steps, partitions=1)

@loops.on_command
def step(state: Steps, command: Step) -> Decision:
    yield Reply("stepped")

@loops.on_command
def hold(state: Steps, command: Hold) -> Decision:
    ctypes.PyDLL(None).sleep(3600)  # with the interpreter's lock, as code in C can
    yield Reply()

@loops.on_command
def die(state: Steps, command: Die) -> Decision:
    os.kill(os.getpid(), signal.SIGKILL)
    yield Reply()
"""
OPTIONS = ("--lease", "1", "--handler-limit", "1")
ASK = ("ask", "loops/other", "Step", "--timeout", "30")


@pytest.fixture
def server(tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    (tmp_path / "loops.py").write_text(MODULE)
    process = start("up", folder=tmp_path)
    first_line(process)
    yield process
    finish(process)


def test_a_host_whose_interpreter_is_held_is_killed_and_its_command_parked(
    server: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    host = start("run", "loops", *OPTIONS, folder=tmp_path)
    try:
        first_line(host)
        assert run("tell", "loops/a", "Hold", folder=tmp_path).code == 0
        assert host.stdout is not None
        assert "running" in host.stdout.readline()
        assert "stepped" in run(*ASK, folder=tmp_path).out
        history = run("history", "loops/a", "--json", folder=tmp_path)
        assert [(c["command"]["name"], c["outcome"]) for c in history.records] == [
            ("Hold", "parked")
        ]
        host.send_signal(signal.SIGTERM)
        _, told = host.communicate(timeout=20)
        assert host.returncode == 0, told
        assert told.count("a host says nothing more, and is killed") == 1, "the next one knows"
        assert "in hold" in told, "where it was is written by a thread in C"
    finally:
        finish(host)


def test_a_host_that_crashes_is_started_again_but_not_for_ever(
    server: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    host = start("run", "loops", *OPTIONS, "--restarts", "1", folder=tmp_path)
    try:
        first_line(host)
        assert run("tell", "loops/a", "Die", folder=tmp_path).code == 0
        wait_until(lambda: host.poll() is not None, timeout=60)
        _, told = host.communicate(timeout=10)
        assert host.returncode == -signal.SIGKILL, told
        assert told.count("a host is started again") == 1
    finally:
        finish(host)
