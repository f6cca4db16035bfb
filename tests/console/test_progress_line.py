"""Progress: rate and time left for people at a terminal, and nothing for anybody else."""

import io

import pytest
from rich.progress import Progress

from moonlet.console.common import Output, progress_line
from moonlet.console.common.progress_bar import Rate


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


def shown(
    *, json: bool, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch, after: float = 0
) -> str:
    monkeypatch.setattr(progress_line, "SHOWN_AFTER", after)
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    with progress_line.progress(Output(json=json), "verifying", "commits") as advance:
        for done in range(11):
            advance(done * 1_000, 10_000)
    return stderr.getvalue()


def test_a_terminal_gets_what_is_done_and_of_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(json=False, stderr=Terminal(), monkeypatch=monkeypatch)
    assert "verifying" in text
    assert "10000/10000" in text


def test_a_pipe_and_json_get_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(json=False, stderr=io.StringIO(), monkeypatch=monkeypatch) == ""
    assert shown(json=True, stderr=Terminal(), monkeypatch=monkeypatch) == ""


def test_what_is_done_at_once_needs_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(json=False, stderr=Terminal(), monkeypatch=monkeypatch, after=60) == ""


def test_the_rate_is_in_units_a_second_and_the_rest_in_time() -> None:
    now = 0.0
    bar = Progress(Rate("commits"), get_time=lambda: now)
    bar.add_task("", total=10_000)
    [task] = bar.tasks
    assert Rate("commits").render(task).plain == ""
    for second in range(1, 4):
        now = float(second)
        bar.update(task.id, completed=second * 1_000)
    assert Rate("commits").render(task).plain == "1,000 commits/s"
    assert task.time_remaining == 7
