"""Versions side by side in worlds: nothing is lost, and newer code has what it alone reads."""

from unittest.mock import patch

from moonlet.agents.owner.left_work import LeftWork
from moonlet.agents.services import newer_code
from moonlet.simulations.search import sweep
from tests.simulations.deploys import NEW, deploys, mixed
from tests.simulations.worlds import passes, run

SEEDS = 8


def test_what_only_newer_code_can_read_is_left_to_it() -> None:
    found = passes(mixed, agents=NEW, hosts=3)
    assert "what a host can't read is left to newer code" in found.reached


def test_an_old_host_that_keeps_what_it_does_not_know_is_seen() -> None:
    with patch.object(newer_code, "is_newer", lambda version, other: False):
        assert run(mixed, agents=NEW, hosts=3).error is not None
    with patch.object(LeftWork, "agent", lambda self, error: False):
        assert run(mixed, agents=NEW, hosts=3).error is not None


def test_no_promise_breaks_while_versions_change_under_all_faults() -> None:
    sweep(deploys, range(SEEDS)).report()
