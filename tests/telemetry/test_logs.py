"""Levels per module while it runs, context, what repeats, and what a suppressed line costs."""

import asyncio
import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moonlet.core.errors import InvalidSettings
from moonlet.telemetry import (
    Repeats,
    configure,
    get_logger,
    levels,
    log_context,
    set_level,
    set_levels,
)
from tests.console.support import ENVIRONMENT


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_the_nearest_module_with_a_level_decides_and_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(logging.WARNING, json=True)
    near, far = get_logger("t.logs.near.one"), get_logger("t.logs.far")
    near.debug("no")
    set_level("debug", "t.logs.near")
    near.debug("yes", n=1)
    far.info("no")
    far.error("yes")
    set_level("error", "t.logs.near.one")
    near.warning("no")
    set_level(None, "t.logs.near.one")
    near.info("yes")
    get_logger("t.logs.nearly").info("no: it is another module")
    get_logger("t.logs.near.later").debug("yes")
    lines = written(capsys)
    assert [line["event"] for line in lines] == ["yes"] * 4
    assert lines[0]["module"] == "t.logs.near.one" and lines[0]["n"] == 1
    assert lines[0]["level"] == "debug"


@pytest.mark.parametrize("bad", ["loud", "a=", "=debug", "a=b=c", "warning,x=loud", " "])
def test_wrong_levels_are_said_and_change_nothing(bad: str) -> None:
    before = levels()
    with pytest.raises(InvalidSettings, match="log level"):
        set_levels(bad)
    assert levels() == before


def test_an_exception_brings_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.WARNING, json=True)
    try:
        raise ValueError("here")
    except ValueError:
        get_logger("t.logs").exception("it failed", password="x")
    (line,) = written(capsys)
    assert "ValueError: here" in str(line["exception"]) and line["password"] == "[hidden]"


async def test_context_is_a_tasks_own(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.WARNING, json=True)
    log = get_logger("t.logs")
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def one() -> None:
        with log_context(agent="a/1", command="c-1", trace="t"):
            inside.set()
            await go_on.wait()
            log.warning("one")

    task = asyncio.create_task(one())
    await inside.wait()
    log.warning("two")
    go_on.set()
    await task
    two, first = written(capsys)
    assert "agent" not in two and two["event"] == "two"
    assert (first["agent"], first["command"], first["trace"]) == ("a/1", "c-1", "t")


def test_what_repeats_is_told_again_after_ten_seconds() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)
    told = []
    for second in range(25):
        now = float(second)
        if repeats.due("x"):
            told.append(second)
    assert told == [0, 10, 20]
    assert repeats.due("y") and repeats.first("x", "a") and not repeats.first("x", "a")
    assert repeats.first("x", "b")


def test_a_suppressed_line_costs_next_to_nothing() -> None:
    configure(logging.WARNING)
    log, plain = get_logger("t.logs.quiet"), range(20_000)

    def nothing(event: str, **facts: object) -> None:
        pass

    def best(write: object) -> float:
        times = []
        for _ in range(7):
            started = time.process_time()
            for _ in plain:
                write("a line", agent="a/1", n=1)  # type: ignore[operator]
            times.append(time.process_time() - started)
        return min(times)

    assert best(log.info) < 2 * best(nothing) + 1e-4, "it is a call, and nothing else"


def test_the_environment_sets_levels_of_a_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "moonlet.console", "alerts"]
    for text, code in (("info,moonlet.agents=debug", 0), ("loud", 2)):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**ENVIRONMENT, "MOONLET_LOG": text},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode == 0) == (code == 0), done.stderr
        assert "Traceback" not in done.stderr
        assert code == 0 or "choose one of" in done.stderr
