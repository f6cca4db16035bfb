"""Streams that somebody damages, in worlds: hosts mend what they can, and stop where they must."""

from collections.abc import Awaitable, Callable

import pytest

from moonlet.agents.services.journal_ends import JournalEnds
from moonlet.simulations import Scenario, World
from moonlet.simulations.search import sweep
from tests.simulations import vandals
from tests.simulations.worlds import passes, run

CALM = [
    vandals.without_consumers,
    vandals.without_streams,
    vandals.garbled,
    vandals.without_journal,
]
SEEDS = 2


@pytest.mark.parametrize("body", CALM, ids=lambda body: str(body.__name__))
def test_what_is_damaged_is_mended_or_stops_its_agents(
    body: Callable[[World], Awaitable[None]],
) -> None:
    passes(body, agents=(vandals.ACCOUNT,))


@pytest.mark.parametrize("scenario", vandals.SCENARIOS, ids=lambda each: each.name.split(":")[1])
def test_the_same_under_all_faults(scenario: Scenario) -> None:
    sweep(scenario, range(SEEDS)).report()


def test_hosts_that_take_a_journal_as_it_stands_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_wrong(*_: object) -> str:
        return ""

    monkeypatch.setattr("moonlet.agents.services.journal_ends.fault_of", nothing_wrong)
    found = run(vandals.without_journal, agents=(vandals.ACCOUNT,))
    assert "somebody wrote into a journal that went back" in str(found.error), found.error


def test_a_host_that_does_not_hear_how_far_others_saw_a_journal_go_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(JournalEnds, "_hear", lambda self, stream, told: None)
    found = vandals.without_journal_worlds.run(0)
    assert "somebody wrote into a journal that went back" in str(found.error), found.error
