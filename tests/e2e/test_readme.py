"""The README's agent runs as printed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.tools import markdown, tree
from tests.tools.markdown_types import named

README = tree.ROOT / "README.md"


def test_the_agent_of_the_readme_runs_as_printed(tmp_path: Path) -> None:
    page = markdown.parse(Path("README.md"), README.read_text(encoding="utf-8"))
    files = named((page,))
    assert sorted(files) == ["bank.py", "main.py", "test_bank.py"]
    for name, source in files.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    printed = next(code.text for code in page.codes if code.text.startswith("5\naccepted\n"))
    environment = {
        key: value for key, value in os.environ.items() if key not in ("MOONLET_NATS_URL",)
    }
    environment["XDG_CONFIG_HOME"] = str(tmp_path)
    for name, expected in (("main.py", printed), ("test_bank.py", "")):
        ran = subprocess.run(
            [sys.executable, name],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.strip() == expected.strip()
