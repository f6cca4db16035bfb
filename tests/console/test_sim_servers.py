"""`moonlet sim sweep --replicas`: worlds of one server, of a cluster, or of both."""

import json
from pathlib import Path

import pytest

from tests.console.support import invoke

FINE = "tests.simulations.small:fine"


@pytest.mark.parametrize("replicas", ["1", "3", "1,3"])
def test_a_sweep_may_be_of_one_kind_of_servers(
    replicas: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = invoke("sim", "sweep", FINE, "--seeds", "3", "--replicas", replicas, "--json")
    assert (ended.code, json.loads(ended.out)["seeds"]) == (0, 3)


def test_two_servers_are_no_cluster() -> None:
    ended = invoke("sim", "sweep", FINE, "--replicas", "2")
    assert ended.code == 2 and "write 1, 3 or 1,3" in ended.err
