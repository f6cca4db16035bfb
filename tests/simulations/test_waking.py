"""Many agents are read together, under all faults: by turns, in passes, from what was kept."""

from collections import Counter

import pytest

from moonlet.simulations import Scenario
from moonlet.simulations.search import sweep
from tests.agents.accounts import account_type
from tests.simulations.waking import apart, away, left, sleepless, stalled, waking
from tests.simulations.worlds import Body, passes

SEEDS = 25


@pytest.mark.parametrize("scenario", [waking, sleepless], ids=["waking", "sleepless"])
def test_no_promise_breaks_while_many_are_woken(scenario: Scenario) -> None:
    sweep(scenario, range(1_000, 1_000 + SEEDS)).report()


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (apart, "an agent of many that are read is read by itself"),
        (away, "the server was away while an agent was recovered"),
        (stalled, "a pass waits for what does not come"),
        (left, "a host leaves before all snapshots are taken"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_in_the_way_of_a_pass_is_overcome(body: Body, mark: str) -> None:
    found = passes(body, agents=(account_type(partitions=1),), hosts=1)
    assert found.reached[mark]


def test_all_ways_of_reading_occur() -> None:
    """A scenario in which something never happens can't find what is wrong with it."""
    reached: Counter[str] = Counter()
    for seed in range(100, 130):
        reached.update(set(sleepless.run(seed).reached))
    assert not reached["an agent of many that are read is read by itself"]
    for mark in (
        "an agent is read by walking back",
        "an agent that was walked back to is read without hints",
        "many tails are read in one pass",
        "who is asked for was kept",
        "who joins a pass finds what it has read kept",
        "fewer agents are kept than were begun with",
    ):
        assert reached[mark], mark
