"""The model against a real server: the same generated operations, compared after each one.

`MOONLET_FIDELITY_OPS` sets how many operations, `MOONLET_FIDELITY_SEED` which ones.
"""

import json
import os
from pathlib import Path

import pytest

from moonlet.streams.server_process import ServerProcess
from tests.simulations.jetstream.episodes import Episode
from tests.simulations.jetstream.raw_client import RawClient
from tests.simulations.jetstream.targets import ServerTarget

OPERATIONS = int(os.environ.get("MOONLET_FIDELITY_OPS", "5000"))
SEED = os.environ.get("MOONLET_FIDELITY_SEED", "fidelity")
LENGTH = 60  # operations of one episode


def compare(url: str, seed: str, first: int, operations: int, *, replicas: int = 1) -> int:
    """Run episodes on a server and the model until `operations` agreed; returns how many did."""
    client = RawClient(url)
    # The server removes the folder of all streams after its last one, and may do so too late.
    client.request("$JS.API.STREAM.CREATE.KEEP", b'{"name":"KEEP"}')
    server = ServerTarget(client)
    agreed, number = 0, first
    while agreed < operations:
        episode = Episode(seed, number, replicas=replicas)
        history = []
        for operation, foreseen in episode.run(LENGTH):
            observed = server.run(operation, foreseen)
            history.append(operation)
            if observed != foreseen:
                raise AssertionError(difference(seed, number, history, foreseen, observed))
            agreed += 1
        number += 1
    client.close()
    return agreed


def difference(
    seed: str, number: int, history: list[object], foreseen: object, observed: object
) -> str:
    """What to look at."""
    lines = [f"seed {seed!r}, episode {number}, operation {len(history)}"]
    lines += [json.dumps(operation, ensure_ascii=False) for operation in history]
    lines += [f"model:  {foreseen}", f"server: {observed}"]
    return "\n".join(lines)


@pytest.mark.timeout(0)
def test_the_model_does_what_one_server_does(own_server: ServerProcess, tmp_path: Path) -> None:
    assert compare(own_server.url, SEED, 0, OPERATIONS) >= OPERATIONS
