"""The README's agent runs as printed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.console.page import alike, typed
from tests.tools import markdown, tree
from tests.tools.markdown_types import named

README = tree.ROOT / "README.md"


TESTS = ("test_bank.py", "test_bank_on_a_server.py", "test_bank_simulated.py")


def written(folder: Path, page: markdown.Page) -> dict[str, str]:
    """The page's files, put into the folder."""
    files = named((page,))
    for name, source in files.items():
        (folder / name).write_text(source, encoding="utf-8")
    return files


def run(folder: Path, *arguments: str) -> str:
    """What a Python process there prints; it must end well."""
    environment = {key: value for key, value in os.environ.items() if key != "MOONLET_NATS_URL"}
    environment["XDG_CONFIG_HOME"] = str(folder)
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_agent_of_the_readme_runs_as_printed_and_goes_on_when_run_again(tmp_path: Path) -> None:
    page = markdown.parse(Path("README.md"), README.read_text(encoding="utf-8"))
    files = written(tmp_path, page)
    assert sorted(files) == ["bank.py", "main.py", *TESTS]
    printed = [code.text for code in page.codes if "\naccepted\n" in code.text]
    assert [run(tmp_path, "main.py") for _ in range(2)] == printed


def test_pytest_collects_the_tests_of_the_readme_as_printed(tmp_path: Path) -> None:
    page = markdown.parse(Path("README.md"), README.read_text(encoding="utf-8"))
    files = written(tmp_path, page)
    assert len([line for line in files[TESTS[1]].splitlines() if line.strip()]) <= 11
    assert len([line for line in files[TESTS[2]].splitlines() if line.strip()]) <= 15
    (shown,) = [each for each in typed(page) if each.command.startswith("pytest")]
    printed = run(tmp_path, "-m", *shown.command.split(), "-p", "no:cacheprovider")
    assert alike(shown.output, printed.splitlines()), printed


def test_the_view_of_its_page_runs_as_printed(tmp_path: Path) -> None:
    readme = markdown.parse(Path("README.md"), README.read_text(encoding="utf-8"))
    views = tree.ROOT / "docs" / "views.md"
    page = markdown.parse(Path("docs/views.md"), views.read_text(encoding="utf-8"))
    written(tmp_path, readme)
    assert sorted(written(tmp_path, page)) == ["ledger.py"]
    printed = next(code.text for code in page.codes if code.text.startswith("{'by_account'"))
    assert run(tmp_path, "ledger.py").strip() == printed.strip()
