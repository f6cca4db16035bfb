"""The implementations that every contract of `JetStream` is run on.

`server` is a real one. `model` is the door to the model, on whatever loop runs; `wire` is the same
model as a server of bytes inside a run, behind our adapter and an unmodified nats-py. The contract
of `Consumer`, and reading where replicas lag, are run on `cluster` too, three real servers whose
streams have three replicas.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import pytest

from moonlet.simulations import SimLoop
from moonlet.simulations.jetstream import MemoryServer, contract_opener
from moonlet.simulations.jetstream.wire import serve
from moonlet.streams.api import JetStream
from moonlet.streams.nats import connection
from moonlet.streams.server.server_process import ServerProcess
from moonlet.streams.settings import from_url
from tests.simulations.jetstream.cluster import start_cluster

Opener = Callable[[], Awaitable[JetStream]]
Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]

LOOPS: Loops = {
    "server": asyncio.new_event_loop,
    "model": asyncio.new_event_loop,
    "wire": SimLoop,
}

CLUSTERED: Loops = {**LOOPS, "cluster": asyncio.new_event_loop}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Loops:
    """Each test runs once per implementation, on the loop that it needs."""
    clustered = item.path.name.startswith(("test_consumer", "test_lagging"))
    return CLUSTERED if clustered else LOOPS


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    """Three servers per test worker; tests keep apart by `name` and never hurt them."""
    servers = start_cluster(tmp_path_factory.mktemp("cluster"))
    yield servers
    for server in servers:
        server.kill()


def kind_of(request: pytest.FixtureRequest) -> str:
    """Which implementation this run of a test is on."""
    kind: str
    (kind,) = set(request.node.callspec.id.split("-")) & set(CLUSTERED)
    return kind


@pytest.fixture
async def open_jetstream(request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    """Opens further connections to the server of this test; they are closed at its end."""
    opened: list[JetStream] = []
    kind = kind_of(request)
    url = ""
    if kind == "wire":
        serve(MemoryServer())
        url = "nats://nats:4222"
    elif kind == "server":
        server: ServerProcess = request.getfixturevalue("shared_server")
        url = server.url
    elif kind == "cluster":
        url = request.getfixturevalue("shared_cluster")[0].url

    async def connect() -> JetStream:
        return await connection.open(from_url(url, "the tests' server"))

    connect_one: Opener = contract_opener() if kind == "model" else connect

    async def open_one() -> JetStream:
        opened.append(await connect_one())
        return opened[-1]

    yield open_one
    for jetstream in opened:
        await jetstream.close()
    loop = asyncio.get_running_loop()
    if isinstance(loop, SimLoop):
        assert loop.deaths == [] and loop.escapes == []


@pytest.fixture
async def js(open_jetstream: Opener) -> JetStream:
    """The connection that most contracts need."""
    return await open_jetstream()
