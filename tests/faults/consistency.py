"""Faults that clients which do anything must find, whatever the fault is."""

from tests.faults.fault import Fault

WORLDS = "tests/consistency/test_worlds.py::"

CONSISTENCY_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P3",
        WORLDS + "test_whatever_clients_do_one_order_explains_what_they_saw",
        "no command is remembered",
        (
            (
                "core/moonlet/core/fold.py",
                "        self._remember_command(commit, body)\n",
                "        pass\n",
            ),
        ),
    ),
    Fault(
        "P8",
        WORLDS + "test_also_where_owners_know_late_what_their_journal_shows",
        "no replica waits for a token",
        (
            (
                "projections/moonlet/projections/replica/replica.py",
                "        if materialized.state.frontier.covers(wanted):\n            return\n",
                "        if True:\n            return\n",
            ),
        ),
    ),
)
