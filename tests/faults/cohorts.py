"""Faults in comparing many conversations, and in forks of a part of a system."""

from tests.faults.fault import Fault

FORKS = "tests/replay/test_forks.py::"

COHORT_FAULTS: tuple[Fault, ...] = (
    Fault(
        "time travel",
        FORKS + "test_another_call_function_answers_the_calls_of_a_cohort_and_of_nobody_else",
        "another call function is asked only for what the record lacks",
        (
            (
                "replay/moonlet/replay/forks/answers.py",
                "first = call.correlation_id in self._afresh",
                "first = False",
            ),
        ),
    ),
    Fault(
        "time travel",
        FORKS + "test_what_agents_that_are_not_here_sent_comes_as_it_came",
        "what agents sent that are not in the record never comes",
        (
            (
                "replay/moonlet/replay/forks/fork_run.py",
                "if each.cause is None or not self._is_known(each.cause):",
                "if each.cause is None:",
            ),
        ),
    ),
)
