"""Journals on the shared server, apart by name."""

from collections.abc import AsyncGenerator

import pytest

from moonlet.streams.server.server_process import ServerProcess
from tests.projections.authors import World


@pytest.fixture
async def world(shared_server: ServerProcess, name: str) -> AsyncGenerator[World, None]:
    async with World(shared_server.url, name) as world:
        yield world
