"""The programs in `examples/` run by hand as docs/examples.md shows it, and are small."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.page import Typed, alike, typed
from tests.tools import markdown, tree

EXAMPLES = [path for path in tree.tracked_with(".py") if path.parts[0] == "examples"]
PAGE = markdown.parse(Path("docs/examples.md"), tree.read(Path("docs/examples.md")))
SESSIONS = typed(PAGE)
BY_HAND = [f"python {path}" for path in EXAMPLES if path.stem != "planted_bug"]
LINES_MIN, LINES_MAX = 40, 120
FAULT = re.compile(r" +\d+  [a-z_]+ ")


def run(each: Typed, folder: Path) -> list[str]:
    """What the command prints, typed beside a copy of the examples; it must end well."""
    python, *arguments = shlex.split(each.command)
    assert python == "python"
    if not (folder / "examples").exists():
        shutil.copytree(tree.ROOT / "examples", folder / "examples")
    environment = {key: value for key, value in os.environ.items() if key != "MOONLET_NATS_URL"}
    if "--careful" in arguments:
        environment["MOONLET_SEEDS"] = "5"  # that all thirty pass is no news
    kept = sorted(folder.glob(".moonlet/seeds/*.sim"))  # which seed fails changes with the code
    ran = subprocess.run(
        [sys.executable, *(str(kept[0]) if word.endswith(".sim") else word for word in arguments)],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == ("replay" in arguments), ran.stdout + ran.stderr
    return ran.stdout.splitlines()


def without_faults(lines: list[str]) -> list[str]:
    """What changes with the code, which faults a failure takes and when, is left out."""
    return [re.sub(r"\bt=\S+", "t=", line) for line in lines if not FAULT.match(line)]


@pytest.mark.parametrize(
    "each", [each for each in SESSIONS if each.command in BY_HAND], ids=lambda each: each.command
)
def test_an_example_prints_what_its_page_shows(each: Typed, tmp_path: Path) -> None:
    assert run(each, tmp_path) == each.output


def test_the_planted_bug_is_found_and_replayed_as_the_page_shows(tmp_path: Path) -> None:
    bug, replayed, careful = SESSIONS[4:]
    for each in (bug, replayed):
        printed = run(each, tmp_path)
        assert alike(without_faults(each.output), without_faults(printed)), "\n".join(printed)
        assert len(without_faults(printed)) < len(printed)
    assert run(careful, tmp_path) == careful.output


def test_every_example_is_on_the_page_has_a_docstring_and_is_small() -> None:
    assert [f"python {path}" for path in EXAMPLES] == sorted(
        {each.command for each in SESSIONS if each.command.endswith(".py")}
    )
    for path in EXAMPLES:
        lines = [line for line in tree.read(path).splitlines() if line.strip()]
        assert LINES_MIN <= len(lines) <= LINES_MAX, f"{path}: {len(lines)} lines"
        assert lines[0].startswith('"""'), path
