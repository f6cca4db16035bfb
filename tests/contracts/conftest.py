"""The implementations that every contract of `JetStream` is run on.

The model is run once `moonlet.simulations.jetstream.port` exists. It must offer
`contract_opener() -> Callable[[], Awaitable[JetStream]]`: each call of it makes one fresh
simulated server that runs on the current event loop and its clock, and the opener that it
returns opens any number of connections to that server.
"""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import moonlet.simulations
from moonlet.streams import connection
from moonlet.streams.api import JetStream
from moonlet.streams.server_process import ServerProcess
from moonlet.streams.settings import from_url

Opener = Callable[[], Awaitable[JetStream]]


def _has_model() -> bool:
    folders = moonlet.simulations.__path__
    return any((Path(folder) / "jetstream" / "port.py").exists() for folder in folders)


@pytest.fixture(params=["server", "model"] if _has_model() else ["server"])
async def open_jetstream(
    request: pytest.FixtureRequest, shared_server: ServerProcess
) -> AsyncIterator[Opener]:
    """Opens further connections to the server of this test; they are closed at its end."""
    opened: list[JetStream] = []
    if request.param == "model":
        port = importlib.import_module("moonlet.simulations.jetstream.port")
        connect: Opener = port.contract_opener()
    else:

        async def connect() -> JetStream:
            return await connection.open(from_url(shared_server.url, "the tests' server"))

    async def open_one() -> JetStream:
        opened.append(await connect())
        return opened[-1]

    yield open_one
    for jetstream in opened:
        await jetstream.close()


@pytest.fixture
async def js(open_jetstream: Opener) -> JetStream:
    """The connection that most contracts need."""
    return await open_jetstream()
