"""The command line itself: its version, its mistakes, its completion, and what is never started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moonlet.agents import connect
from moonlet.streams import Disconnected
from tests.console.support import ENVIRONMENT, finish, first_line, run, start
from tests.streams.support import eventually

BREAKS = """
import msgspec
from moonlet.agents import AgentType, Decision, Reply

class Break(msgspec.Struct, frozen=True):
    pass

class State(msgspec.Struct, frozen=True):
    pass

clumsy = AgentType("clumsy", State)

@clumsy.on_command
def breaks(state: State, command: Break) -> Decision:
    yield Reply(1 // 0)
"""


def test_the_version_is_told(folder: Path) -> None:
    told = run("--version", folder=folder)
    assert told.code == 0
    assert told.out.startswith("moonlet 0.")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("tell", "--json"), "AGENT"),
        (("nonsense", "--json"), "nonsense"),
        (("history", "account/a", "--from", "0", "--json"), "--from"),
        (("view", "v", "get", "--nope", "--json"), "--nope"),
    ],
)
def test_a_mistake_in_the_command_line_is_json_where_that_is_asked_for(
    line: tuple[str, ...], said: str, folder: Path
) -> None:
    ended = run(*line, folder=folder)
    assert ended.code == 2
    assert ended.out == ""
    facts = json.loads(ended.err)
    assert (facts["error"], facts["exit"]) == ("Usage", 2)
    assert said in facts["message"]


def test_a_shell_can_complete(folder: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "moonlet"],
        env={
            **ENVIRONMENT,
            "_MOONLET_COMPLETE": "complete_bash",
            "COMP_WORDS": "moonlet ver",
            "COMP_CWORD": "1",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.split() == ["verify"]


def test_a_host_runs_nothing_that_was_not_named(folder: Path) -> None:
    ended = run("run", "--json", folder=folder, timeout=20)
    assert ended.code == 2
    facts = json.loads(ended.err)
    assert facts["error"] == "InvalidSettings"
    assert "moonlet run MODULE" in facts["message"]
    assert not (folder / ".moonlet").exists()


def test_the_traceback_of_a_handler_stands_in_the_history(folder: Path) -> None:
    (folder / "breaks.py").write_text(BREAKS)
    host = start("run", "breaks.py", folder=folder)
    try:
        first_line(host)
        asked = run("ask", "clumsy/a", "Break", "{}", "--module", "breaks.py", folder=folder)
        assert asked.code == 1
        shown = run("history", "clumsy/a", folder=folder)
        assert "ZeroDivisionError" in shown.out
        assert "yield Reply(1 // 0)" in shown.out
        [record] = run("history", "clumsy/a", "--json", folder=folder).records
        assert record["traceback"].splitlines()[-1].startswith("ZeroDivisionError")
    finally:
        finish(host)


async def test_the_end_of_who_ran_the_server_is_explained_to_those_attached(folder: Path) -> None:
    owner = start("up", "--json", folder=folder)
    try:
        first_line(owner)
        async with connect(folder=folder) as moon:
            assert f"which process {owner.pid} runs" in moon.bus.description
            os.kill(owner.pid, 9)

            async def told() -> bool:
                try:
                    moon.bus.post("a")
                except Disconnected as error:
                    return f"process {owner.pid}, which ran" in str(error)
                return False

            await eventually(told)
    finally:
        finish(owner)
    async with connect(folder=folder) as moon:
        assert "ends with this process" in moon.bus.description


def test_a_wrong_setting_that_counts_at_once_is_told_without_a_traceback(folder: Path) -> None:
    for more, told in (((), "InvalidSettings: MOONLET_NATIVE is"), (("--json",), '"exit": 2')):
        ended = subprocess.run(
            [sys.executable, "-m", "moonlet.console", "agents", *more],
            env={**ENVIRONMENT, "MOONLET_NATIVE": "perhaps"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2 and told in ended.stderr
        assert "say auto, off or require" in ended.stderr and "Traceback" not in ended.stderr
