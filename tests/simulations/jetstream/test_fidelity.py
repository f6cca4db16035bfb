"""The model against a real server: the same generated operations, compared after each one.

`MOONLET_FIDELITY_OPS` says how many operations on one server (5,000), `MOONLET_FIDELITY_R3_OPS`
how many on a cluster of three (600), `MOONLET_FIDELITY_SEED` which ones. Known differences
stand in `ledger.md`; the generator keeps away from them.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from moonlet.streams.server.server_process import ServerProcess
from tests.simulations.jetstream.cluster import start_cluster
from tests.simulations.jetstream.episodes import Episode, Operation
from tests.simulations.jetstream.raw_client import RawClient
from tests.simulations.jetstream.targets import Observation, ServerTarget

OPERATIONS = int(os.environ.get("MOONLET_FIDELITY_OPS", "5000"))
R3_OPERATIONS = int(os.environ.get("MOONLET_FIDELITY_R3_OPS", "600"))
SEED = os.environ.get("MOONLET_FIDELITY_SEED", "fidelity")
LENGTH = 60  # operations of one episode


def compare(url: str, seed: str, first: int, operations: int, *, replicas: int = 1) -> int:
    """Run episodes on a server and the model until `operations` agreed; returns how many did."""
    agreed, number, miscounted = 0, first, 0
    with RawClient(url) as client:
        # The server removes the folder of all streams after its last one, maybe too late.
        client.request("$JS.API.STREAM.CREATE.KEEP", b'{"name":"KEEP"}')
        while agreed < operations:
            count, whole = _compare_episode(client, seed, number, replicas)
            agreed += count
            miscounted += not whole
            number += 1
    assert miscounted <= 1 + agreed // 1000, f"{miscounted} wrong counts in {agreed} operations"
    return agreed


def _compare_episode(client: RawClient, seed: str, number: int, replicas: int) -> tuple[int, bool]:
    """How many operations of one episode agreed, and whether it was run to its end (ledger 9)."""
    server = ServerTarget(client, replicas=replicas)
    history: list[Operation] = []
    for operation, foreseen in Episode(seed, number, replicas=replicas).run(LENGTH):
        observed = server.run(operation, foreseen)
        if observed != foreseen:
            if replicas > 1 and _is_miscount(operation, observed, foreseen):
                client.request(f"$JS.API.STREAM.DELETE.E{number}", b"")
                client.inbox.clear()
                return len(history), False
            history.append(operation)
            raise AssertionError(difference(seed, number, history, foreseen, observed))
        history.append(operation)
    return len(history), True


def _is_miscount(operation: Operation, observed: Observation, foreseen: Observation) -> bool:
    """Whether only a consumer's counts of pending and unacknowledged messages differ.

    Requests that don't wait are judged by the former.
    """
    if operation[0] == "pull" and "no_wait" in operation[-1]:
        return True
    return _without_counts(observed) == _without_counts(foreseen)


def _without_counts(observation: Observation) -> Observation:
    state = dict(observation["state"])
    for name, numbers in state.items():
        if "/" in name and isinstance(numbers, list):
            state[name] = [*numbers[1:3], *numbers[4:]]
    return {**observation, "state": state}


def difference(
    seed: str, number: int, history: Sequence[object], foreseen: object, observed: object
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
    servers = start_cluster(tmp_path)
    try:
        assert compare(servers[0].url, SEED, 0, R3_OPERATIONS, replicas=3) >= R3_OPERATIONS
    finally:
        for server in servers:
            server.kill()
