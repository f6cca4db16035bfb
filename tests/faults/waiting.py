"""Faults in what bounds a wait, and in what is said when one ends: P10."""

from tests.faults.commands import AGENTS, STREAMS
from tests.faults.fault import Fault

ACCOUNTS = "tests/agents/test_account_limits.py::"
LINE = "tests/console/test_command_line.py::"
CONNECTION = "tests/streams/test_connection.py::"
LARGE = "tests/agents/test_large_answers.py::"
SHUTDOWN = "tests/e2e/test_shutdown.py::"
TIMEOUTS = "tests/agents/test_timeouts.py::"

NOTHING_INSTEAD = (
    (
        STREAMS + "queues/messages.py",
        "bus._js.post(reply, smaller)",
        "pass",
    ),
)

WAITING_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P10",
        TIMEOUTS + "test_every_call_ends_within_its_timeout_though_the_server_hangs",
        "a caller's timeout is left to each step on its own",
        (
            (
                AGENTS + "client/timeouts.py",
                "asyncio.timeout_at(until)",
                "asyncio.timeout_at(until + 60)",
            ),
        ),
    ),
    Fault(
        "P10",
        TIMEOUTS + "test_what_is_under_way_without_answers_is_bounded_and_said",
        "room for one more command is waited for without limit",
        (
            (
                AGENTS + "client/sending.py",
                "await in_time(route.take(), until, late)",
                "await route.take()",
            ),
        ),
    ),
    Fault(
        "P10",
        TIMEOUTS + "test_without_a_host_an_ask_costs_no_more_for_a_long_history",
        "a commit is looked for from the journal's beginning",
        (
            (
                AGENTS + "client/sending.py",
                "if id is not None:  # it may be an old one",
                "if id is None or id:",
            ),
        ),
    ),
    Fault(
        "P10",
        TIMEOUTS + "test_a_client_that_is_not_open_says_so_at_once",
        "a client that is closed keeps what it had while open",
        (
            (
                AGENTS + "client/client.py",
                "vars(self).pop(name, None)",
                "vars(self).get(name, None)",
            ),
        ),
    ),
    Fault(
        "P10",
        SHUTDOWN + "test_a_host_whose_program_cancels_everything_hands_over_and_ends",
        "what was cancelled with all else is not carried on",
        ((STREAMS + "nats/wire.py", "CANCELLED_MAX = 12", "CANCELLED_MAX = 0"),),
    ),
    Fault(
        "P10",
        SHUTDOWN + "test_a_host_stops_in_time_though_the_server_hangs",
        "handing over has no limit",
        (
            (
                AGENTS + "hosting/host.py",
                "_ends(self._ownership.close(self._end_tasks), HAND_OVER)",
                "_ends(self._ownership.close(self._end_tasks), 20 * HAND_OVER)",
            ),
        ),
    ),
    Fault(
        "P10",
        CONNECTION + "test_the_one_server_that_answers_is_found_among_many",
        "servers are tried one after the other",
        (
            (
                STREAMS + "nats/reachable.py",
                "if len(order) < 2:",
                "if order:",
            ),
        ),
    ),
    Fault(
        "P10",
        CONNECTION + "test_credentials_that_are_changed_are_named_until_they_are_right_again",
        "why there is no connection is not said to who sends",
        (
            (
                STREAMS + "nats/wire.py",
                '+ (self.trouble or "it is being restored, try again")',
                '+ "it is being restored, try again"',
            ),
        ),
    ),
    Fault(
        "P10",
        LARGE + "test_a_reply_too_large_for_a_message_is_read_where_it_stands",
        "an answer too large for a message is kept back",
        NOTHING_INSTEAD,
    ),
    Fault(
        "P10",
        LARGE + "test_the_answer_of_a_query_too_large_for_a_message_is_refused_at_once",
        "an answer too large for a message is kept back",
        NOTHING_INSTEAD,
    ),
    Fault(
        "P10",
        ACCOUNTS + "test_what_an_account_has_no_room_for_is_named",
        "what a refusal to make a stream means is not said",
        (
            (
                (STREAMS + "admin/topology_plan.py"),
                "raise no_room(error, config) from None",
                "raise error",
            ),
        ),
    ),
    Fault(
        "P10",
        LINE + "test_a_mistake_in_the_command_line_is_json_where_that_is_asked_for",
        "mistakes in the command line are text alone",
        (
            (
                ("console/moonlet/console/__main__.py"),
                'if "--json" not in sys.argv[1:]:',
                "if sys.argv:",
            ),
        ),
    ),
    Fault(
        "P10",
        LINE + "test_a_host_runs_nothing_that_was_not_named",
        "a host that was named nothing runs the satellites",
        (
            (
                ("console/moonlet/console/agents/serving.py"),
                "types = list(find_own(modules).values())",
                "from moonlet.console.common import find; types = list(find(modules).values())",
            ),
        ),
    ),
    Fault(
        "P10",
        LINE + "test_the_traceback_of_a_handler_stands_in_the_history",
        "a parked command's traceback is not shown",
        (
            (
                ("console/moonlet/console/replay/histories.py"),
                "_tell(options, commit, await stack_of(commit))",
                '_tell(options, commit, "")',
            ),
        ),
    ),
    Fault(
        "P10",
        LINE + "test_the_end_of_who_ran_the_server_is_explained_to_those_attached",
        "why nobody answers is not looked for",
        (((STREAMS + "opening.py"), "why_gone=ended", "why_gone=None"),),
    ),
    Fault(
        "bad input",
        "tests/agents/test_signature.py::test_a_state_that_does_not_come_first_is_refused",
        "a handler's first parameter is not looked at",
        (
            (
                AGENTS + "definition/signature.py",
                "if leading and state is not None:",
                "if leading and state is None:",
            ),
        ),
    ),
    Fault(
        "bad input",
        "tests/console/test_commands.py::test_a_field_that_would_do_nothing_is_refused",
        "fields that a class doesn't know are passed over",
        (
            (
                AGENTS + "client/plain_fields.py",
                "if field not in known:",
                "if field is None:",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_full_disk.py::"
        "test_a_journal_that_takes_no_commits_is_named_to_all_and_goes_on",
        "appends without an answer are not counted",
        (
            (
                STREAMS + "journal/group_commit.py",
                "if self._unanswered >= UNANSWERED_MAX:",
                "if self._unanswered < 0:",
            ),
        ),
    ),
)
