"""Faults in the way of a view: P8."""

from tests.faults.fault import Fault

VIEWS = "tests/e2e/test_promises_views.py::"
VIEW_FAULTS = "tests/projections/test_replica_faults.py::"
EXCHANGES = "tests/projections/test_replica_exchange.py::"
OPERATIONS = "tests/projections/test_replica_operations.py::"
FILES = "tests/projections/test_replica_files.py::"
CONTROL = "tests/projections/test_replica_control.py::"
HOSTILE = "tests/projections/test_replica_control_hostile.py::"

PROJECTIONS = "projections/moonlet/projections/"

VIEW_FAULTS_ALL: tuple[Fault, ...] = (
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_journal_created_anew_under_a_reader_is_noticed_before_a_wrong_read",
        "a journal's incarnation is not compared",
        (
            (
                PROJECTIONS + "replica/probe.py",
                "    if journal.incarnation != now:\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_journal_that_went_back_is_refused",
        "a journal's end is not compared with the frontier",
        ((PROJECTIONS + "replica/probe.py", "    if ends.last < frontier:\n", "    if False:\n"),),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_journal_that_went_back_and_grew_is_refused",
        "the last commit folded is not compared with the journal's",
        (
            (
                PROJECTIONS + "replica/probe.py",
                "    if digest_of(name, message) != digest:\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_a_hole_between_frontier_and_journal_is_refused",
        "a journal's beginning is not compared with the frontier",
        (
            (
                PROJECTIONS + "replica/probe.py",
                "    if ends.first > frontier + 1:\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEW_FAULTS + "test_deliveries_lost_on_the_way_are_fetched_again",
        "what the server says it sent is not compared with what came",
        (
            (
                "streams/moonlet/streams/reading/consumer.py",
                "            if self._arrived + status.missing < end:\n",
                "            if self._arrived + status.missing < 0:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        EXCHANGES + "test_a_forged_answer_is_refused_and_changes_nothing",
        "a delta may run ahead of the journals",
        (
            (
                PROJECTIONS + "replica/materialized_view.py",
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
                PROJECTIONS + "replica/probe.py",
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
                PROJECTIONS + "replica/peers.py",
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
                PROJECTIONS + "replica/feed.py",
                "            self._materialized.rise(name, end, digest)\n",
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
                PROJECTIONS + "replica/lifecycle.py",
                "        write_skipped(self.path, skipped, self._disk)\n",
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
                PROJECTIONS + "replica/materialized_view.py",
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
                PROJECTIONS + "files/database.py",
                "                if store.unsaved:\n",
                "                if store.unsaved and not store.unsaved:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        VIEWS + "test_a_client_reads_its_own_writes_at_any_replica",
        "waiting for a token returns at once",
        (
            (
                PROJECTIONS + "replica/replica.py",
                "        if materialized.state.frontier.covers(wanted):\n            return\n",
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
                PROJECTIONS + "replica/materialized_view.py",
                "                    if message.sequence > vector[index]:\n"
                "                        self._fold_one(journal, message)\n",
                "                    if message.sequence <= vector[index]:\n"
                "                        vector[index] = message.sequence - 1\n"
                "                    self._fold_one(journal, message)\n",
            ),
            (
                PROJECTIONS + "replica/feed.py",
                "start=at + 1",
                "start=max(1, at)",
            ),
        ),
    ),
    Fault(
        "P8",
        OPERATIONS + "test_a_poisonous_event_stops_its_view_only_and_says_which",
        "an event that can't be folded is passed over",
        (
            (
                PROJECTIONS + "replica/materialized_view.py",
                "        state.fold(commit, journal, encoding=encoding)\n",
                "        try:\n"
                "            state.fold(commit, journal, encoding=encoding)\n"
                "        except PoisonedEvent:\n"
                "            state.advance(journal, message.sequence)\n",
            ),
        ),
    ),
    Fault(
        "P8",
        EXCHANGES + "test_unequal_digests_at_one_frontier_are_noticed_and_the_other_isnt_asked",
        "replicas' digests are not compared",
        (
            (
                PROJECTIONS + "replica/peers.py",
                "        if digest and differs(materialized.state, heartbeat, digest):\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        EXCHANGES + "test_a_replica_without_peers_joins_from_the_snapshot",
        "a snapshot is never joined",
        (
            (
                PROJECTIONS + "replica/tasks.py",
                "            if taken is not None:\n",
                "            if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        EXCHANGES + "test_concurrent_intent_of_two_replicas_that_were_apart_stays_visible",
        "what an event's author had seen is not looked at",
        (
            (
                PROJECTIONS + "fields/recorder.py",
                "        return None if self.seen is None else self.seen.get((store, key))\n",
                "        return None\n",
            ),
        ),
    ),
    Fault(
        "P8",
        FILES + "test_a_file_deleted_while_open_stops_the_replica_and_is_rebuilt_by_a_retry",
        "a file that was deleted is written on",
        (
            (
                PROJECTIONS + "files/database.py",
                "        if self._disk.identity(self.path) != self._identity:\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        FILES + "test_two_replicas_on_one_file_are_told_apart",
        "two replicas write to one file",
        (
            (
                PROJECTIONS + "files/database.py",
                "            if cursor.rowcount != 1:\n",
                "            if False:\n",
            ),
        ),
    ),
    Fault(
        "P8",
        CONTROL + "test_what_cannot_be_sought_changes_nothing",
        "a seek that is refused has begun the file anew",
        (
            (
                PROJECTIONS + "replica/replica.py",
                "            await check_reachable(lifecycle.bus, lifecycle.held(), frontier)\n",
                "            if not frontier.covers(lifecycle.held().state.frontier):\n"
                "                await lifecycle.pause()\n"
                "                lifecycle._begin_anew()\n"
                "            await check_reachable(lifecycle.bus, lifecycle.held(), frontier)\n",
            ),
        ),
    ),
    Fault(
        "P8",
        CONTROL + "test_a_copy_of_a_running_replicas_file_is_another_replica",
        "two replicas have one name",
        (
            (
                PROJECTIONS + "replica/lifecycle.py",
                "            if not await is_here(bus, self.view.name, notes.replica):\n",
                "            if True:\n",
            ),
        ),
    ),
    Fault(
        "P10",
        CONTROL + "test_orders_wait_for_their_turn_and_too_many_are_refused",
        "orders to a replica wait without limit",
        (
            (
                PROJECTIONS + "replica/control.py",
                "        elif len(self._tasks) >= MAX_ORDERS:\n",
                "        elif False:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        HOSTILE + "test_an_answer_is_never_stored_in_a_stream_of_ours",
        "a replica answers wherever it is told to",
        (
            (
                "streams/moonlet/streams/subjects.py",
                'subject != "" and not subject.startswith(',
                'subject != "" or not subject.startswith(',
            ),
        ),
    ),
    Fault(
        "bad input",
        HOSTILE + "test_what_is_no_order_is_refused_and_changes_nothing",
        "an order may have fields that mean nothing",
        (
            (
                PROJECTIONS + "replica/control.py",
                "class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):\n",
                "class Order(msgspec.Struct, frozen=True):\n",
            ),
        ),
    ),
)
