"""docs/console.md: every command it shows runs and prints that, and it names all there is."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from moonlet.console.app import app
from moonlet.console.common import MEANINGS
from moonlet.console.common.options import _SHARED
from tests.console.page import Typed, alike, typed
from tests.console.support import COMMAND, ENVIRONMENT, finish, first_line, invoke, start
from tests.tools import markdown, tree

PAGE = markdown.parse(Path("docs/console.md"), tree.read(Path("docs/console.md")))
DEBUGGING = markdown.parse(Path("docs/debugging.md"), tree.read(Path("docs/debugging.md")))
TEXT = tree.read(Path("docs/console.md"))


GROUPS = {
    "bundle": ["create"],
    "parked": ["list"],
    "sim": ["sweep"],
    "topology": ["show"],
    "view": ["exposure", "get"],
}


def names() -> list[str]:
    """The names of all sub-commands."""
    group = typer.main.get_command(app)
    return sorted(group.list_commands(typer.Context(group)))  # type: ignore[attr-defined]


def write_files(folder: Path) -> None:
    """The files that the page has, under the names in their first lines."""
    for code in PAGE.codes:
        name = re.match(r"# (\S+\.(?:py|toml))\n", code.text)
        if name is not None:
            (folder / name[1]).write_text(code.text)


@pytest.mark.timeout(180)
def test_what_the_page_shows_is_what_is_printed(tmp_path: Path) -> None:
    write_files(tmp_path)
    running: list[subprocess.Popen[str]] = []
    try:
        for each in typed(PAGE):
            arguments = shlex.split(each.command)
            assert arguments[0] == "moonlet", each
            if arguments[-1] == "&":
                running.append(start(*arguments[1:-1], folder=tmp_path))
                printed = [first_line(running[-1])]
            else:
                faster = ["--speed", "12"] if arguments[1] == "demo" else []
                printed = _printed([*arguments[1:], *faster], tmp_path)
            if arguments[1] == "demo":  # its lines hang on the machine's speed; tests/e2e has them
                assert printed[0].startswith("eight satellites run"), _told(each, printed)
                assert "  0 lost" in printed and "  0 doubled" in printed, _told(each, printed)
                continue
            shown, seen = _steady_lines(each.output), _steady_lines(printed)
            assert alike(shown, seen), _told(each, printed)
    finally:
        for process in running:
            process.terminate()
            finish(process)


def _here(argument: str, folder: Path) -> str:
    """A kept run as it is called here: which seed fails first changes with the code."""
    kept = re.fullmatch(r"(\.moonlet/seeds/.+-)\d+\.sim", argument)
    found = sorted(folder.glob(f"{kept[1]}*.sim")) if kept is not None else []
    return str(found[0].relative_to(folder)) if found else argument


def _printed(arguments: list[str], folder: Path) -> list[str]:
    """What a person sees: both streams, as they come."""
    arguments = [_here(argument, folder) for argument in arguments]
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1, 2), done.stdout
    return done.stdout.splitlines()


def _steady_lines(lines: list[str]) -> list[str]:
    """Without the demo's rows, which hang on the machine's speed, and the room on its disk."""
    demo = any(line.startswith("eight satellites") for line in lines)
    rows = "  " if demo else ("OK    disk", "WARN  disk", "      fix: free some")
    return [line.rstrip() for line in lines if not line.startswith(rows)]


def _told(each: Typed, printed: list[str]) -> str:
    return f"docs/console.md:{each.line}: {each.command} printed\n" + "\n".join(printed)


def test_the_page_shows_every_command() -> None:
    shown = {each.command.split()[1] for page in (PAGE, DEBUGGING) for each in typed(page)}
    assert shown == set(names()) - {"tui", "web"}, "these have tests of their own: they don't end"


@pytest.mark.parametrize("name", names())
def test_every_command_has_help_with_the_shared_options(name: str) -> None:
    ended = invoke(name, "--help")
    assert ended.code == 0
    if name in GROUPS:  # its commands have them
        ended = invoke(name, *GROUPS[name], "--help")
    elsewhere = {"demo": {"url", "context"}, "bench": {"url", "context"}}
    elsewhere["tui"] = {"json"}
    elsewhere["compare"] = {"context", "data"}
    elsewhere["vet"] = {"url", "context", "data", "prefix"}
    elsewhere["sim"] = {"url", "context", "data", "prefix"}
    for option in set(_SHARED) - elsewhere.get(name, set()):
        assert f"--{option}" in ended.out


def test_the_page_and_the_help_say_what_each_exit_code_means() -> None:
    shown = invoke("--help").out
    for code, meaning in MEANINGS.items():
        assert f"| {code} | {meaning} |" in TEXT
        assert re.search(rf"^ *{code}  {re.escape(meaning)}", shown, re.MULTILINE), code


def test_a_difference_would_be_seen() -> None:
    assert alike(["a 5", "…", "z"], ["a  17", "b", "c", "z"])
    assert not alike(["a 5", "z"], ["a 5", "b", "z"])
    assert not alike(["ok 5"], ["no 5"])
