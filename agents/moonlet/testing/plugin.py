"""The pytest plugin: installed with moonlet, so its fixtures work with zero configuration."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from moonlet.agents import AgentType, Client, connect
from moonlet.core.codec import Encoding
from moonlet.streams import SystemEntropy, TemporaryServer, Topology


class MoonServer:
    """A real server for tests. Each test sees only streams of its own."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.topology = Topology(prefix=prefix)

    def connect(
        self, *, agents: Iterable[AgentType[Any]] = (), encoding: Encoding = "json"
    ) -> Client:
        """As `moonlet.agents.connect`, to this server and this test's streams."""
        return connect(self.url, agents=agents, topology=self.topology, encoding=encoding)


@pytest.fixture(scope="session")
def _moon_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with TemporaryServer(tmp_path_factory.mktemp("moon-server")) as url:
        yield url


@pytest.fixture
def moon_server(_moon_process: str) -> MoonServer:
    """A running nats-server, shared by the session, with fresh streams for this test."""
    return MoonServer(_moon_process, f"t-{SystemEntropy().token()}")
