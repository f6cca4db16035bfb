"""Faults in the way of a view: P8."""

from tests.faults.fault import Fault

VIEWS = "tests/e2e/test_promises_views.py::"
VIEW_FAULTS = "tests/projections/test_replica_faults.py::"
EXCHANGES = "tests/projections/test_replica_exchange.py::"
OPERATIONS = "tests/projections/test_replica_operations.py::"
FILES = "tests/projections/test_replica_files.py::"

PROJECTIONS = "projections/moonlet/projections/"

VIEW_FAULTS_ALL: tuple[Fault, ...] = (
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_journal_created_anew_under_a_reader_is_noticed_before_a_wrong_read",
        "a journal's incarnation is not compared",
        ((PROJECTIONS + "probe.py", "    if journal.incarnation != now:\n", "    if False:\n"),),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_journal_that_went_back_is_refused",
        "a journal's end is not compared with the frontier",
        ((PROJECTIONS + "probe.py", "    if ends.last < frontier:\n", "    if False:\n"),),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_journal_that_went_back_and_grew_is_refused",
        "the last commit folded is not compared with the journal's",
        (
            (
                PROJECTIONS + "probe.py",
                "    if digest_of(name, message) != digest:\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_hole_between_frontier_and_journal_is_refused",
        "a journal's beginning is not compared with the frontier",
        ((PROJECTIONS + "probe.py", "    if ends.first > frontier + 1:\n", "    if False:\n"),),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_deliveries_lost_on_the_way_are_fetched_again",
        "what the server says it sent is not compared with what came",
        (
            (
                PROJECTIONS + "feed.py",
                "and self._got + status.missing >= self._asked:\n",
                "and True:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        EXCHANGES + "test_a_forged_answer_is_refused_and_changes_nothing",
        "a delta may run ahead of the journals",
        (
            (
                PROJECTIONS + "holding.py",
                "apply_delta(state, delta, ends=ends)",
                "apply_delta(state, delta)",
            ),
        ),
    ),
    Fault(
        "P8",
        EXCHANGES + "test_a_delta_of_another_history_is_refused_by_its_marks",
        "another replica's marks are not compared with the journals",
        (
            (
                PROJECTIONS + "probe.py",
                "    if message is not None and digest_of(name, message) != digest:\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        EXCHANGES + "test_a_replica_cut_off_from_a_journal_catches_up_from_another",
        "a replica never asks another",
        (
            (
                PROJECTIONS + "exchange.py",
                "        if peer is not None:\n            await self._take_from(peer)\n",
                "        if False:\n            await self._take_from(peer)\n",
            ),
        ),
    ),
    Fault(
        "P8",
        OPERATIONS + "test_the_frontier_rises_over_what_the_view_does_not_read",
        "the frontier never rises over what isn't read",
        (
            (
                PROJECTIONS + "feed.py",
                "            self._holding.rise(name, end, digest)\n",
                "            pass\n",
            ),
        ),
    ),
    Fault(
        "P8",
        OPERATIONS + "test_a_poisonous_commit_is_skipped_whole_and_stays_so",
        "a skipped commit is not noted in the file",
        (
            (
                PROJECTIONS + "life.py",
                "        file_notes.write_skipped(self.path, skipped, self._disk)\n",
                "        pass\n",
            ),
        ),
    ),
    Fault(
        "P8",
        FILES + "test_a_lock_is_borne_for_a_while_and_reads_go_on",
        "a replica reports what is not on disk yet",
        (
            (
                PROJECTIONS + "holding.py",
                "            log.warning(\"a view's file is locked",
                "            self.durable = frontier\n"
                "            log.warning(\"a view's file is locked",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEWS + "test_three_replicas_that_are_killed_paused_and_restored_hold_equal_bytes",
        "the file's frontier runs ahead of its rows",
        (
            (
                PROJECTIONS + "database.py",
                "                if store.unsaved:\n",
                "                if store.unsaved and len(store.unsaved) % 2:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEWS + "test_a_client_reads_its_own_writes_at_any_replica",
        "waiting for a token returns at once",
        (
            (
                PROJECTIONS + "replica.py",
                "        if holding.state.frontier.covers(wanted):\n            return\n",
                "        if True:\n            return\n",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEWS + "test_a_killed_server_and_a_killed_host_leave_replicas_equal",
        "a commit is folded again when it comes again",
        (
            (
                PROJECTIONS + "holding.py",
                "        if message.sequence <= state.vector[index]:\n            return\n",
                "        if message.sequence <= state.vector[index]:\n"
                "            state.vector[index] = message.sequence - 1\n",
            ),
            (
                PROJECTIONS + "feed.py",
                '"opt_start_seq": self._at + 1',
                '"opt_start_seq": max(1, self._at)',
            ),
        ),
    ),
)
