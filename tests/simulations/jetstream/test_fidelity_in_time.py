"""The model against a real server where time does it: waits, expiry, windows, schedules.

All timetables run side by side, each on a stream and a connection of its own.
"""

import json
import time
from contextlib import ExitStack

from moonlet.streams.server_process import ServerProcess
from tests.simulations.jetstream.raw_client import RawClient
from tests.simulations.jetstream.targets import ModelTarget, ServerTarget
from tests.simulations.jetstream.timetables import SECOND, in_order, timetables


def test_the_model_keeps_time_as_a_server_does(own_server: ServerProcess) -> None:
    with ExitStack() as clients:
        keeper = clients.enter_context(RawClient(own_server.url))
        keeper.request("$JS.API.STREAM.CREATE.KEEP", b'{"name":"KEEP"}')
        begin, start = time.monotonic(), time.time_ns()
        tables = timetables(start)
        models = {name: ModelTarget() for name in tables}
        servers = {
            name: ServerTarget(clients.enter_context(RawClient(own_server.url))) for name in tables
        }
        differences = []
        for at, name, operation in in_order(tables):
            time.sleep(max(begin + at - time.monotonic(), 0))  # sleeps: until the entry's time
            models[name].now = start + round(at * SECOND)
            foreseen = models[name].run(operation)
            observed = servers[name].run(operation, foreseen)
            if observed != foreseen:
                differences.append(f"{name} at {at} s: {json.dumps(operation)}")
                differences.append(f"model:  {foreseen}\nserver: {observed}")
    assert not differences, "\n".join(differences)
