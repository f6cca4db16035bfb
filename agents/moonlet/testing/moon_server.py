"""What the fixture `moon_server` gives a test: a real server, and streams of the test's own."""

from collections.abc import Iterable
from typing import Any

from moonlet.agents import AgentType, Client, connect
from moonlet.core.codec import Encoding
from moonlet.streams import Topology


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
