"""The README's agent runs as printed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.tools import markdown, tree
from tests.tools.markdown_types import named

README = tree.ROOT / "README.md"


PROGRAMS = ("main.py", "test_bank.py")
SIMULATED = "test_bank_simulated.py"


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


def test_the_agent_of_the_readme_runs_as_printed(tmp_path: Path) -> None:
    page = markdown.parse(Path("README.md"), README.read_text(encoding="utf-8"))
    files = written(tmp_path, page)
    assert sorted(files) == ["bank.py", *PROGRAMS, SIMULATED]
    printed = next(code.text for code in page.codes if code.text.startswith("5\naccepted\n"))
    for name, expected in zip(PROGRAMS, (printed, ""), strict=True):
        assert run(tmp_path, name).strip() == expected.strip()


def test_the_simulated_test_of_the_readme_has_fifteen_lines_and_passes(tmp_path: Path) -> None:
    page = markdown.parse(Path("README.md"), README.read_text(encoding="utf-8"))
    files = written(tmp_path, page)
    assert len([line for line in files[SIMULATED].splitlines() if line.strip()]) <= 15
    assert "1 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", SIMULATED)


def test_the_view_of_its_page_runs_as_printed(tmp_path: Path) -> None:
    readme = markdown.parse(Path("README.md"), README.read_text(encoding="utf-8"))
    views = tree.ROOT / "docs" / "views.md"
    page = markdown.parse(Path("docs/views.md"), views.read_text(encoding="utf-8"))
    written(tmp_path, readme)
    assert sorted(written(tmp_path, page)) == ["ledger.py"]
    printed = next(code.text for code in page.codes if code.text.startswith("{'by_account'"))
    assert run(tmp_path, "ledger.py").strip() == printed.strip()
