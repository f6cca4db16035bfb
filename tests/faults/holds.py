"""Faults in what holds whatever is wrong: every call's end, versions side by side, far limits."""

from tests.faults.commands import AGENTS, STREAMS
from tests.faults.fault import Fault

TIMEOUTS = "tests/agents/test_timeouts.py::"
FAR = "tests/agents/test_far_limits.py::"

HOLD_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P10",
        TIMEOUTS + "test_every_public_call_ends_in_time_whatever_is_wrong",
        "whose time is over waits until the reader of a history is gone",
        (
            (
                STREAMS + "reading/messages.py",
                "await reader.close(wait=not left)",
                "await reader.close(wait=True)",
            ),
        ),
    ),
    Fault(
        "P10",
        FAR + "test_calls_that_hang_in_threads_hold_so_many_and_the_next_waits_with_an_alarm",
        "a call that was let go for a thread is not counted before it has one",
        ((AGENTS + "calls/places.py", "len(threads) + len(coming)", "len(threads)"),),
    ),
    Fault(
        "P10",
        FAR + "test_a_journal_with_more_garbage_than_a_repair_leaves_out_says_so",
        "a repair leaves out however much there is",
        (
            (
                AGENTS + "histories/repairing.py",
                "        if len(self._skips) > MAX_SKIPS:\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P7",
        FAR + "test_the_newest_snapshot_bears_witness_of_its_journal_however_many_others_there_are",
        "only the last snapshots of all bear witness",
        (
            (
                STREAMS + "journal/marks.py",
                "                start = min(start, newest.sequence)",
                "                start = max(start, 1)",
            ),
        ),
    ),
    Fault(
        "P1",
        "tests/agents/test_versions.py::"
        "test_a_send_that_was_parked_since_nobody_ran_its_type_is_delivered_later",
        "a parked send is delivered as nobody's",
        (
            (
                AGENTS + "histories/retrying.py",
                '        sender=commit.agent if effect is not None else "",\n',
                "",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_full_disk.py::"
        "test_a_mailbox_that_stores_nothing_is_told_from_a_server_that_hangs",
        "whoever gets no answer takes the server for one that hangs",
        (
            (
                AGENTS + "client/sending.py",
                "stored, why = True, await self.homes.why_silent(until, why)",
                'stored, why = True, "it may hang, look at it"',
            ),
        ),
    ),
    Fault(
        "bad input",
        "tests/streams/test_connection.py::"
        "test_no_password_goes_to_a_server_that_speaks_no_tls_where_tls_is_asked_for",
        "whether there is TLS is left to the server",
        (
            (
                STREAMS + "nats/wire.py",
                '        if asked and not self._server_info.get("tls_required"):\n',
                "        if asked and not self._server_info:\n",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_calls_outside.py::"
        "test_a_call_that_ends_all_that_runs_beside_it_hurts_no_other_call",
        "a call that stops its loop ends the calls beside it",
        (
            (
                AGENTS + "calls/call_loop.py",
                "            while not self._stopped:  # a call may stop it, and must not end all"
                " others\n                self._loop.run_forever()\n",
                "            self._loop.run_forever()\n",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_calls_outside.py::"
        "test_a_call_that_ends_all_that_runs_beside_it_hurts_no_other_call",
        "a call that was cancelled by another is waited for in vain",
        (
            (
                AGENTS + "calls/call_loop.py",
                "            future.set_exception(Moved(alone=True))\n",
                "",
            ),
        ),
    ),
)
