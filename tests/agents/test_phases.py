"""The phases of a live agent: the table, and that no step leaves it."""

import pytest

from moonlet.agents.live import TRANSITIONS, LiveAgent, Phase
from moonlet.core.ids import AgentId


def test_every_phase_has_a_row_and_only_closed_is_an_end() -> None:
    assert set(TRANSITIONS) == set(Phase)
    assert [phase for phase, after in TRANSITIONS.items() if not after] == [Phase.CLOSED]
    assert all(Phase.CLOSED in TRANSITIONS[phase] for phase in Phase if phase is not Phase.CLOSED)


def test_every_phase_can_be_come_to_from_the_first() -> None:
    met, new = {Phase.COLD}, {Phase.COLD}
    while new:
        new = {after for phase in new for after in TRANSITIONS[phase]} - met
        met |= new
    assert met == set(Phase)


def test_nothing_is_appended_before_the_journal_was_read() -> None:
    before = {phase for phase in Phase if Phase.APPENDING in TRANSITIONS[phase]}
    assert before == {Phase.RUNNING}
    assert Phase.RUNNING not in TRANSITIONS[Phase.COLD]


@pytest.mark.parametrize("phase", Phase)
def test_a_step_that_is_not_in_the_table_is_refused(phase: Phase) -> None:
    unused = object()
    agent = LiveAgent(AgentId("account", "a"), unused)  # type: ignore[arg-type]
    for after in Phase:
        agent.phase = phase
        if after in TRANSITIONS[phase]:
            agent._enter(after)
            assert agent.phase is after
        else:
            with pytest.raises(AssertionError):
                agent._enter(after)
