"""Real servers for all tests: one per worker for most, a fresh one where it is to be hurt."""

import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from moonlet.streams.server.embedded import configuration
from moonlet.streams.server.server_process import ServerProcess, find_server
from moonlet.telemetry import levels, restore_levels

# A run in the background (`nohup make test &`) ignores these, and so would every process it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says only how busy the machine is.
settings.register_profile(
    "moonlet", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("moonlet")


@pytest.fixture(autouse=True)
def the_log_as_it_was() -> Iterator[None]:
    """A command that set up the log in this process (`--json`) leaves no other test so."""
    before, told = structlog.get_config() if structlog.is_configured() else None, levels()
    yield
    restore_levels(told)
    if before is not None:
        structlog.configure(**before)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server per test worker, without fsync; tests keep apart by `name` and never hurt it."""
    folder = tmp_path_factory.mktemp("server")
    server = ServerProcess(find_server(), folder, configuration(folder / "data", fsync=False))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers for this test alone: `new_server(extra="...", fsync=True)`.

    Kill, pause and restart them as you like: the ports and the store stay the same.
    """
    servers: list[ServerProcess] = []

    def start(*, extra: str = "", fsync: bool = False) -> ServerProcess:
        folder = tmp_path / f"server{len(servers)}"
        config = configuration(folder / "data", fsync=fsync) + extra
        server = ServerProcess(find_server(), folder, config)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def own_server(new_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A started server for this test alone, without fsync."""
    return new_server()


@pytest.fixture
def name() -> str:
    """A fresh name for this test's streams and subjects."""
    return f"t{uuid.uuid4().hex[:12]}"
