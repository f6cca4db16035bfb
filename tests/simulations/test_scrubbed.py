"""In a world: a snapshot that isn't the fold of its commits is seen by the checker, and mended."""

from unittest.mock import patch

from moonlet.agents.recovery import SnapshotPolicy
from moonlet.simulations import Violation
from tests.simulations.scrubbed import CHANGING, COUNTING, believed, counted, forged
from tests.simulations.worlds import passes, run

AGENTS = (COUNTING, CHANGING)


def test_a_forged_snapshot_is_dropped_and_the_agent_has_its_state_again() -> None:
    found = passes(forged, agents=AGENTS, hosts=1)
    assert "a snapshot is not the fold of its commits" in found.reached
    assert "a state in memory is not the fold of its commits" in found.reached


def test_a_forged_snapshot_that_nobody_looks_at_is_seen_by_the_checker() -> None:
    found = run(believed, agents=AGENTS, hosts=1)
    assert isinstance(found.error, Violation), found.error
    assert found.error.promise == "P2 state is the fold"
    assert "the snapshot of count/a r20 holds 1000000 at $.n" in str(found.error)


def test_a_state_that_would_come_back_changed_is_seen_if_its_snapshot_is_stored() -> None:
    assert (
        "a state would not come back from a snapshot"
        in passes(counted, agents=AGENTS, hosts=1).reached
    )

    def unseen(self: SnapshotPolicy, agent: object, state: object) -> bytes:
        return self._type.encode_state(state)

    with patch.object(SnapshotPolicy, "_encoded", unseen):
        found = run(counted, agents=AGENTS, hosts=1)
    assert isinstance(found.error, Violation), found.error
    assert "the snapshot of decimal/a" in str(found.error)
