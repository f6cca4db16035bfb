"""docs/debugging.md: the walk through the night, typed as it is shown.

Which revision something has differs from night to night, so a point that an earlier command of the
page printed is typed as it was printed here.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.console.page import alike, typed
from tests.console.support import COMMAND, ENVIRONMENT, invoke
from tests.tools import markdown, tree

PAGE = markdown.parse(Path("docs/debugging.md"), tree.read(Path("docs/debugging.md")))
POINT = re.compile(r"\b[a-z]+/[a-z]+@\d+")


def printed_by(arguments: list[str], folder: Path) -> list[str]:
    """What a person sees. The demo has processes of its own; the rest runs in this one."""
    if arguments[0] == "demo":
        done = subprocess.run(
            [*COMMAND, *arguments, "--speed", "12"],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return done.stdout.splitlines()
    ended = invoke(*arguments)
    assert ended.code in (0, 1), (arguments, ended.err)
    return [line.rstrip() for line in (ended.err + ended.out).splitlines()]


def short(lines: list[str]) -> list[str]:
    """Without bodies: where a long one is cut off hangs on the numbers in it."""
    return [line if line == "…" else line.partition("{")[0] for line in lines]


def test_what_the_page_shows_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOONLET_NATS_URL", raising=False)
    here: dict[str, str] = {}
    for each in typed(PAGE):
        command = POINT.sub(lambda found: here.get(found[0], found[0]), each.command)
        arguments = shlex.split(command)
        assert arguments[0] == "moonlet", each
        printed = printed_by(arguments[1:], tmp_path)
        assert alike(short(each.output), short(printed)), f"{each.line}: {command}\n" + "\n".join(
            printed
        )
        for shown, seen in zip(each.output, printed, strict=False):
            points = POINT.findall(shown), POINT.findall(seen)
            if len(points[0]) == len(points[1]):
                here.update(zip(*points, strict=True))
