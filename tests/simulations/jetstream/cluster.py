"""Three real servers as one cluster."""

import json
import socket
import time
from pathlib import Path

from moonlet.streams.server.server_process import ServerProcess, find_server
from tests.simulations.jetstream.raw_client import RawClient

READY_SECONDS = 30.0


def start_cluster(folder: Path) -> list[ServerProcess]:
    """Start three servers and wait until they have elected a leader; the caller kills them."""
    ports = _free_ports(3)
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    servers: list[ServerProcess] = []
    try:
        for number, port in enumerate(ports, 1):
            own = folder / f"n{number}"
            config = (
                f"server_name: n{number}\n"
                f"jetstream {{ store_dir: {json.dumps(str(own / 'data'))} }}\n"
                f'cluster {{ name: simulated, listen: "127.0.0.1:{port}", routes: [{routes}] }}\n'
            )
            servers.append(ServerProcess(find_server(), own, config))
            servers[-1].start()
        _await_leader(servers[0].url)
    except BaseException:
        for server in servers:
            server.kill()
        raise
    return servers


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _await_leader(url: str) -> None:
    client = RawClient(url)
    stream = {"name": "KEEP", "num_replicas": 3}
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        answer = client.request("$JS.API.STREAM.CREATE.KEEP", json.dumps(stream).encode())
        if answer is not None and answer.data and "error" not in json.loads(answer.data):
            client.close()
            return
        time.sleep(0.1)  # sleeps: until the cluster answers, with a bound
    raise AssertionError(f"no leader within {READY_SECONDS} s")
