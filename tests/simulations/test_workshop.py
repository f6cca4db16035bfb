"""The write path under all faults, in the scenario that presses it hard; and seeds once found."""

import pytest

from moonlet.simulations.reference import reference
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.search import sweep
from tests.simulations.workshop import workshop

SEEDS = 15

FOUND = {
    5: "a command whose id was still being stored on a cluster was refused, not tried again",
    49: "a suspicious owner decided for an agent that had just lost its state: its task died",
    104: "what an agent held was never read back when all that waited were duplicates",
    153: "an innocent command was parked, since hosts died by chance while it was noted",
}
"""Bugs of ours by the seed that found them."""


def test_no_promise_breaks_in_the_workshop() -> None:
    sweep(workshop, range(1_000, 1_000 + SEEDS)).report()


@pytest.mark.parametrize("seed", FOUND, ids=lambda seed: f"seed {seed}")
def test_what_was_found_once_stays_mended(seed: int) -> None:
    run = workshop.run(seed)
    assert run.error is None, f"{FOUND[seed]}: {run.error}"


@pytest.mark.parametrize("scenario", [reference, workshop], ids=["reference", "workshop"])
def test_all_of_the_write_path_occurs(scenario: Scenario) -> None:
    """A scenario in which something never happens can't find what is wrong with it."""
    run = scenario.run(3)
    assert run.error is None
    assert run.commits > 30
    keys = {message[1].split()[0] for message in scenario.run(3, listen=True).messages}
    assert {"cmd", "in", "pull", "delivery"} <= keys, keys
