"""A host as a child process: up when `start` returns, and its last words if it isn't."""

from pathlib import Path

import pytest

from moonlet.console.common import HostProcess
from moonlet.core.errors import Unavailable
from moonlet.streams.server.server_process import ServerProcess


async def test_a_host_that_can_t_start_is_quoted(own_server: ServerProcess, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no module 'nowhere'") as error:
        await HostProcess.start("nowhere", own_server.url, tmp_path / "host.log")
    assert "ended as it started" in str(error.value)


async def test_a_host_that_is_killed_by_somebody_else_is_noticed(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    module = "moonlet.console.bench.agents"
    host = await HostProcess.start(module, own_server.url, tmp_path / "host.log")
    assert not host.has_ended
    await host.kill()
    assert host.has_ended
    with pytest.raises(Unavailable, match="ended by itself with exit code -9"):
        await host.ended()
    await host.stop()
