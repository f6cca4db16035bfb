"""`@moonlet/client` on a real host and server, by TCP and WebSocket, and through their kills."""

import asyncio
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moonlet.agents import connect
from moonlet.streams import Topology
from moonlet.streams.server.embedded import configuration
from moonlet.streams.server.server_process import ServerProcess, find_server
from tests.agents.accounts import account_type
from tests.host_process import HostProcess
from tests.tools import typescript

pytestmark = [pytest.mark.xdist_group("typescript"), pytest.mark.timeout(180)]


def websocket(port: int) -> str:
    """The server's configuration for pages: loopback only."""
    return f'websocket {{ host: "127.0.0.1", port: {port}, no_tls: true }}\n'


def free_port() -> int:
    """A port that nobody has now, and that stays the same over the server's restarts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def ws_port() -> int:
    typescript.install()
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ws_port: int) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("server")
    config = configuration(folder / "data", fsync=False) + websocket(ws_port)
    server = ServerProcess(find_server(), folder, config)
    server.start()
    yield server
    server.stop()


def registered(url: str, prefix: str) -> None:
    """Have a type that nobody runs any more."""

    async def register() -> None:
        from moonlet.agents import Host

        async with (
            connect(url, topology=Topology(prefix=prefix)) as moon,
            Host(moon, [account_type("idle")]),
        ):
            pass

    asyncio.run(register())


def test_clients_do_in_node_what_those_in_python_do(
    server: ServerProcess, ws_port: int, name: str
) -> None:
    registered(server.url, name)
    host = HostProcess(server.url, name)
    try:
        host.await_ready()
        env = {
            "MOONLET_TCP": server.url,
            "MOONLET_WS": f"ws://127.0.0.1:{ws_port}",
            "MOONLET_PREFIX": name,
        }
        assert typescript.node_tests("tests/real/system.test.ts", env=env) >= 25
    finally:
        host.kill()


@pytest.mark.parametrize("way", ["tcp", "ws"])
def test_each_command_counts_once_through_kills_of_hosts_and_servers(
    new_server: Callable[..., ServerProcess], ws_port: int, name: str, way: str
) -> None:
    port = free_port()
    server = new_server(extra=websocket(port))
    host = HostProcess(server.url, name)
    host.await_ready()
    url = server.url if way == "tcp" else f"ws://127.0.0.1:{port}"
    told = {"URL": url, "PREFIX": name, "NAME": way, "COMMANDS": "600"}
    node = subprocess.Popen(
        [typescript.NODE, "tests/real/through_kills.ts"],
        cwd=typescript.FOLDER,
        env=typescript.environment({f"MOONLET_{key}": value for key, value in told.items()}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    try:
        assert node.stdout is not None
        for line in node.stdout:
            lines.append(line)
            if line in ("at 100\n", "at 400\n"):
                host.kill()
                host = HostProcess(server.url, name)
                host.await_ready()
            if line == "at 250\n":
                server.kill()
                server.start()
        assert node.wait(60) == 0, "".join(lines)
        sums = json.loads(lines[-1])["sums"]
        assert len(sums) == 5
        asyncio.run(hold(server.url, name, sums))
    finally:
        node.kill()
        node.communicate()
        host.kill()


async def hold(url: str, prefix: str, sums: dict[str, int]) -> None:
    """Each agent holds what it was sent, once."""
    topology = Topology(prefix=prefix)
    async with connect(url, topology=topology, agents=[account_type()]) as moon:
        for agent, wanted in sums.items():
            assert (await moon.state(agent)).balance == wanted, agent
