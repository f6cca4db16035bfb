"""Faults in calls outside, timers and clocks."""

from tests.faults.commands import AGENTS, STREAMS
from tests.faults.fault import Fault

EDGES = "tests/agents/test_timers_at_the_edges.py::"

CALL_AND_CLOCK_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P3",
        EDGES + "test_a_timer_at_any_moment_is_kept_or_due_and_its_agent_goes_on",
        "a schedule stands for the moment that was asked for, whatever the server makes of it",
        ((STREAMS + "queues/timers.py", "microseconds=bounded(due)", "microseconds=due"),),
    ),
    Fault(
        "P3",
        EDGES + "test_a_timer_fires_only_the_command_that_it_was_set_for",
        "a firing is believed to be what its timer was set for",
        (
            (
                AGENTS + "deciding/decide.py",
                "return None if fold.fires(envelope) else Verdict.FOREIGN",
                "return None",
            ),
        ),
    ),
    Fault(
        "P1",
        EDGES + "test_a_deadline_at_any_moment_is_judged",
        "a deadline before 1970 is sent as it is",
        ((AGENTS + "client/sending.py", "max(1, to_micros(moment))", "to_micros(moment)"),),
    ),
)
