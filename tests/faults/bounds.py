"""Faults in bounds and in what is done with bad input: P10, and the rest of commands' ways."""

from tests.faults.commands import AGENTS, CORE, HOSTILE, STREAMS, TIME
from tests.faults.fault import Fault

BOUND_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P10",
        "tests/agents/test_meter.py::test_names_beyond_the_limit_count_as_other",
        "every name that a client makes up is counted for itself",
        ((AGENTS + "services/meter.py", "if len(self.commands) >= NAMES_MAX:", "if False:"),),
    ),
    Fault(
        "P10",
        "tests/agents/test_closed_loop.py::"
        "test_a_caller_that_waits_for_every_answer_never_meets_a_full_mailbox",
        "credit returns before the server has confirmed that a message is gone",
        (
            (
                STREAMS + "reading/consumer.py",
                "room = self._window - used - (self._acknowledged - self._confirmed)",
                "room = self._window",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_closed_loop.py::"
        "test_a_caller_that_waits_for_every_answer_never_meets_a_full_mailbox",
        "any number of an agent's commands wait without credit while it is read",
        (
            (
                AGENTS + "services/backlog.py",
                "if count == most or self._all",
                "if self._all",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_calls.py::test_a_host_runs_no_more_calls_at_a_time_than_its_limit",
        "calls are asked for though others may still come",
        (
            (
                AGENTS + "calls/call_runner.py",
                "credit=agent_type.max_calls or CALLS_MAX,",
                "credit=10 * (agent_type.max_calls or CALLS_MAX),",
            ),
        ),
    ),
    Fault(
        "P10",
        TIME + "test_one_full_mailbox_does_not_keep_another_agents_timer",
        "timers fire into mailboxes",
        (
            (
                STREAMS + "subjects.py",
                'return f"{self.prefix}.fire.{home.pool}.{partition}.{agent.type}.{agent.key}"',
                'return f"{self.prefix}.cmd.{home.pool}.{partition}.high.{agent.type}.{agent.key}"',
            ),
        ),
    ),
    Fault(
        "P10",
        TIME + "test_two_agents_that_flood_each_other_with_full_mailboxes_do_not_deadlock",
        "agents write to each other's bounded mailboxes",
        (
            (
                STREAMS + "queues/messages.py",
                "subject = self._bus.subjects.internal(agent, envelope.lane, home)",
                "subject = self._bus.subjects.mailbox(agent, envelope.lane, home)",
            ),
        ),
    ),
    Fault(
        "P10",
        TIME + "test_effects_wait_while_the_internal_queue_is_full_and_then_go_out",
        "an effect is tried once",
        (
            (
                AGENTS + "effects/outbox.py",
                "EFFECT_DEADLINE: Final = 30.0",
                "EFFECT_DEADLINE: Final = 0.0",
            ),
        ),
    ),
    Fault(
        "P10",
        TIME + "test_a_critical_command_overtakes_thousands_of_queued_low_ones",
        "all lanes are one",
        (
            (
                STREAMS + "subjects.py",
                "{partition}.{lane}.{agent.type}.{agent.key}",
                "{partition}.low.{agent.type}.{agent.key}",
            ),
        ),
    ),
    Fault(
        "P10",
        TIME + "test_low_is_not_starved_by_higher_lanes",
        "the highest lane always goes first",
        ((AGENTS + "deciding/waiting.py", "                    turns[lane] -= 1\n", ""),),
    ),
    Fault(
        "bad input",
        HOSTILE + "test_bad_input_is_a_typed_error_and_nothing_is_stored",
        "infinite numbers are let through",
        ((CORE + "codec.py", "if not math.isfinite(item):", "if False:"),),
    ),
    Fault(
        "bad input",
        HOSTILE + "test_a_handler_that_raises_parks_its_command_and_the_agent_goes_on",
        "a parked command is not noted in the parked stream",
        (
            (
                AGENTS + "effects/causes.py",
                '    if commit.outcome == "parked":\n',
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        HOSTILE + "test_an_answer_is_never_stored_in_a_stream_of_ours",
        "a host answers wherever it is told to",
        (
            (
                STREAMS + "queues/messages.py",
                "        if reply and not reply.startswith(ours):\n",
                "        if reply:\n",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_bounds.py::"
        "test_a_thousand_odd_records_are_named_once_each_and_of_more_one_line_is_written",
        "odd records are named however many they are",
        (
            (
                STREAMS + "buckets/odd_records.py",
                "if entry.key not in self._named and len(self._named) >= NAMED_MAX:",
                "if False:",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_bounds.py::test_agents_that_are_looked_at_or_read_again_are_bounded",
        "every agent whose state was changed in place is read again",
        (
            (
                AGENTS + "owner/doubtful_agents.py",
                "if self._read < READ_AGAIN_MAX:  # it will be so again",
                "if True:",
            ),
        ),
    ),
)
