"""The model against a real server: the same generated operations, compared after each one.

`MOONLET_FIDELITY_OPS` sets how many operations on one server (5,000), `MOONLET_FIDELITY_R3_OPS`
how many on a cluster of three (none, since starting one takes long), `MOONLET_FIDELITY_SEED`
which ones. Known differences stand in `ledger.md`; the generator keeps away from them.
"""

import json
import os
from pathlib import Path

import pytest

from moonlet.streams.server_process import ServerProcess
from tests.simulations.jetstream.cluster import start_cluster
from tests.simulations.jetstream.episodes import Episode, Operation
from tests.simulations.jetstream.raw_client import RawClient
from tests.simulations.jetstream.targets import Observation, ServerTarget

OPERATIONS = int(os.environ.get("MOONLET_FIDELITY_OPS", "5000"))
R3_OPERATIONS = int(os.environ.get("MOONLET_FIDELITY_R3_OPS", "0"))
SEED = os.environ.get("MOONLET_FIDELITY_SEED", "fidelity")
LENGTH = 60  # operations of one episode


def compare(url: str, seed: str, first: int, operations: int, *, replicas: int = 1) -> int:
    """Run episodes on a server and the model until `operations` agreed; returns how many did."""
    client = RawClient(url)
    # The server removes the folder of all streams after its last one, and may do so too late.
    client.request("$JS.API.STREAM.CREATE.KEEP", b'{"name":"KEEP"}')
    agreed, number, miscounted = 0, first, 0
    while agreed < operations:
        server = ServerTarget(client, replicas=replicas)
        history: list[Operation] = []
        for operation, foreseen in Episode(seed, number, replicas=replicas).run(LENGTH):
            observed = server.run(operation, foreseen)
            history.append(operation)
            if observed == foreseen:
                agreed += 1
            elif replicas > 1 and _differ_in_count_only(observed, foreseen):
                miscounted += 1  # ledger 9
                client.request(f"$JS.API.STREAM.DELETE.E{number}", b"")
                client.inbox.clear()
                break
            else:
                raise AssertionError(_difference(seed, number, history, foreseen, observed))
        number += 1
    client.close()
    assert miscounted <= 1 + agreed // 1000, f"{miscounted} wrong counts in {agreed} operations"
    return agreed


def _differ_in_count_only(observed: Observation, foreseen: Observation) -> bool:
    """Whether all is equal but how many messages a consumer has pending."""
    return _without_counts(observed) == _without_counts(foreseen)


def _without_counts(observation: Observation) -> Observation:
    state = {
        name: [*numbers[:3], *numbers[4:]] if "/" in name else numbers
        for name, numbers in observation["state"].items()
    }
    return {**observation, "state": state}


def _difference(
    seed: str, number: int, history: list[Operation], foreseen: object, observed: object
) -> str:
    """What to look at."""
    lines = [f"seed {seed!r}, episode {number}, operation {len(history)}"]
    lines += [json.dumps(operation, ensure_ascii=False) for operation in history]
    lines += [f"model:  {foreseen}", f"server: {observed}"]
    return "\n".join(lines)


@pytest.mark.timeout(0)
def test_the_model_does_what_one_server_does(own_server: ServerProcess) -> None:
    assert compare(own_server.url, SEED, 0, OPERATIONS) >= OPERATIONS


@pytest.mark.timeout(0)
def test_the_model_does_what_a_cluster_of_three_does(tmp_path: Path) -> None:
    if not R3_OPERATIONS:
        return  # `make fidelity` has it
    servers = start_cluster(tmp_path)
    try:
        assert compare(servers[0].url, SEED, 0, R3_OPERATIONS, replicas=3) >= R3_OPERATIONS
    finally:
        for server in servers:
            server.kill()
