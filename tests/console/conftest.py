"""A folder with a module of agents, and a host that runs them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.support import BANK, ENVIRONMENT, finish, first_line, start


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make it the working folder, with no server named anywhere."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MOONLET_NATS_URL", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", ENVIRONMENT["XDG_CONFIG_HOME"])
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: empty but for `bank.py`."""
    (tmp_path / "bank.py").write_text(BANK)
    return work_in(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a server and a host of its `bank.py` that run."""
    folder = tmp_path_factory.mktemp("bank")
    (folder / "bank.py").write_text(BANK)
    process = start("run", "bank.py", folder=folder)
    try:
        first_line(process)
        yield folder
    finally:
        process.terminate()
        finish(process)


@pytest.fixture
def host(running: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of this module's host; tests keep apart by their agents' keys."""
    return work_in(running, monkeypatch)
