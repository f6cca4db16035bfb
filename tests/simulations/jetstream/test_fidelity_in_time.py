"""The model against a real server where time does it: waits, expiry, windows, schedules.

All timetables run side by side, each on a stream and a connection of its own.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moonlet.streams.server.server_process import ServerProcess, find_server, quoted
from tests.simulations.jetstream.raw_client import RawClient
from tests.simulations.jetstream.targets import ModelTarget, ServerTarget
from tests.simulations.jetstream.timetables import SECOND, in_order, timetables

ATTEMPTS = 3
LATE = 0.15  # s; beyond it, a busy machine and not the model may be the reason


@pytest.fixture
def plain_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """With the server's own limits, as the model has them; our embedded one raises those."""
    config = f"jetstream {{ store_dir: {quoted(tmp_path / 'data')} }}"
    server = ServerProcess(find_server(), tmp_path / "server", config)
    server.start()
    yield server
    server.kill()


def test_the_model_keeps_time_as_a_server_does(plain_server: ServerProcess) -> None:
    for attempt in range(ATTEMPTS):
        late, differences = run(plain_server, attempt)
        if not differences or late < LATE:
            break
    assert not differences, f"{late:.3f} s late\n" + "\n".join(differences)


def run(server: ServerProcess, attempt: int) -> tuple[float, list[str]]:
    """How late the latest entry before the first difference was, in seconds; the differences."""
    late = 0.0
    differences: list[str] = []
    with ExitStack() as clients:
        keeper = clients.enter_context(RawClient(server.url))
        keeper.request("$JS.API.STREAM.CREATE.KEEP", b'{"name":"KEEP"}')
        begin, start = time.monotonic(), time.time_ns()
        tables = timetables(start, f"{attempt}")
        models = {name: ModelTarget() for name in tables}
        servers = {
            name: ServerTarget(clients.enter_context(RawClient(server.url))) for name in tables
        }
        for at, name, operation in in_order(tables):
            time.sleep(max(begin + at - time.monotonic(), 0))  # sleeps: until the entry's time
            models[name].now = start + round(at * SECOND)
            foreseen = models[name].run(operation)
            observed = servers[name].run(operation, foreseen)
            if not differences:
                late = max(late, time.monotonic() - begin - at)
            if observed != foreseen:
                differences.append(f"{name} at {at} s: {json.dumps(operation)}")
                differences.append(f"model:  {foreseen}\nserver: {observed}")
    return late, differences
