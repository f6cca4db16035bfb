"""No read is older than its reader has seen, under all faults; replicas lag, leases revive."""

from collections import Counter

import pytest

from moonlet.simulations import Scenario
from moonlet.simulations.search import sweep
from tests.agents.accounts import account_type
from tests.simulations.reading import lagging, lapse, quiet, reading, widow
from tests.simulations.worlds import CLUSTER, passes

SEEDS = 15


@pytest.mark.parametrize("scenario", [reading, lagging], ids=["reading", "lagging"])
def test_no_read_is_older_than_what_its_reader_has_seen(scenario: Scenario) -> None:
    sweep(scenario, range(2_000, 2_000 + SEEDS)).report()


def test_a_revived_lease_keeps_no_partition_without_an_owner() -> None:
    found = passes(widow, agents=(account_type(partitions=4),), hosts=2)
    assert found.reached["a lease stands that should have run out"]


def test_no_living_host_is_taken_for_dead_while_replicas_lag() -> None:
    found = passes(quiet, profile=CLUSTER)
    assert found.reached["a replica that lags lacks entries of a bucket"]


def test_agents_and_reads_go_on_while_replicas_lag() -> None:
    found = passes(lapse, profile=CLUSTER)
    assert found.reached["a replica that lags ended a history early"]
    assert found.reached["a stream's end is older than what was seen of it"]


def test_all_ways_of_reading_where_replicas_lag_occur() -> None:
    """A scenario in which something never happens can't find what is wrong with it."""
    reached: Counter[str] = Counter()
    for seed in range(100, 115):
        reached.update(set(lagging.run(seed).reached))
    for mark in (
        "a replica that lags ended a history early",
        "a replica that lags lacks entries of a bucket",
    ):
        assert reached[mark], mark
