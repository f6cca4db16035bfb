"""The pytest plugin: installed with moonlet, so its fixtures work with zero configuration."""

from collections.abc import Iterator

import pytest

from moonlet.streams import SystemEntropy, TemporaryServer
from moonlet.testing.moon_server import MoonServer


@pytest.fixture(scope="session")
def _moon_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with TemporaryServer(tmp_path_factory.mktemp("moon-server")) as url:
        yield url


@pytest.fixture
def moon_server(_moon_process: str) -> MoonServer:
    """A running nats-server, shared by the session, with fresh streams for this test."""
    return MoonServer(_moon_process, f"t-{SystemEntropy().token()}")
