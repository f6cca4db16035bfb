"""Real servers for all tests: one per worker for most, a fresh one where it is to be hurt."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from moonlet.streams.server_process import ServerProcess, find_server

CONFIG = """
jetstream {{
    store_dir: "{store}"
    {sync}
    limits {{ batch {{ max_inflight_per_stream: 500, max_inflight_total: 5000 }} }}
}}
"""


def new_server(folder: Path, *, sync_always: bool = False, extra: str = "") -> ServerProcess:
    """A server of its own in `folder`, not started; without fsync unless asked for."""
    sync = "sync_interval: always" if sync_always else ""
    config = CONFIG.format(store=folder / "data", sync=sync)
    return ServerProcess(find_server(), folder, config + extra)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server per test worker; tests keep apart by names (`name`) and never hurt it."""
    server = new_server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A started server for this test alone: kill, pause, restart it (same ports and store)."""
    server = new_server(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def name() -> str:
    """A fresh name for this test's streams and subjects."""
    return f"t{uuid.uuid4().hex[:12]}"
