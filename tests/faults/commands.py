"""Faults in the way of a command: P1 to P7."""

from tests.faults.fault import Fault

ONCE = "tests/e2e/test_promises_once.py::"
KILL = "tests/e2e/test_promises_kill.py::"
OWNER = "tests/e2e/test_promises_ownership.py::"
HOSTILE = "tests/e2e/test_promises_hostile.py::"
TIME = "tests/e2e/test_promises_time.py::"

AGENTS = "agents/moonlet/agents/"
STREAMS = "streams/moonlet/streams/"
CORE = "core/moonlet/core/"

WINDOWS_FORGET = (
    CORE + "memory/windows.py",
    "    if number > highest:\n        return False\n",
    "    return False\n",
)
NEVER_LEAVES = (
    (
        AGENTS + "hosting/host.py",
        "if self.id and not await _ends(self._leases.leave(self.id), LET_GO):",
        "if self.id:",
    ),
    (
        AGENTS + "hosting/ownership.py",
        "            await self._leave(partition.record)\n",
        "            pass\n",
    ),
)

COMMAND_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P1",
        "tests/agents/test_pools.py::test_hosts_that_run_a_part_of_a_pool_have_feeds_of_their_own",
        "a slot is not fed anew when other partitions are owned there",
        (
            (
                AGENTS + "owner/slot.py",
                "        if wanted == self._served:\n",
                "        if self._feeds:\n",
            ),
        ),
    ),
    Fault(
        "P1",
        "tests/agents/test_behind.py::test_what_a_later_commit_caused_is_not_taken_for_dealt_with",
        "what the state in memory does not know is taken for dealt with",
        (
            (
                AGENTS + "deciding/known.py",
                "if revision <= fold.revision or queued.sought else Verdict.READ_AGAIN",
                "",
            ),
        ),
    ),
    Fault(
        "P1",
        ONCE + "test_a_command_whose_commit_was_on_its_way_when_the_host_died_is_committed",
        "a command is acknowledged before its commit",
        (
            (
                AGENTS + "live/live_agent.py",
                "            self._enter(Phase.APPENDING)\n",
                "            self._enter(Phase.APPENDING)\n"
                "        for pending in chain.commits:\n"
                "            pending.queued.acknowledge()\n",
            ),
        ),
    ),
    Fault(
        "P1",
        KILL + "test_a_killed_server_loses_and_doubles_nothing",
        "consumers are not made anew at a reconnect",
        (
            (
                STREAMS + "reading/consumer.py",
                "bus.on_reconnect(self.renew)",
                "bus.on_reconnect(lambda: None)",
            ),
            (STREAMS + "reading/consumer.py", "SILENCE: Final = 3.0", "SILENCE: Final = 3_000.0"),
            (
                STREAMS + "reading/consumer.py",
                "        else:\n            self.renew()\n",
                "        else:\n            pass\n",
            ),
        ),
    ),
    Fault(
        "P1",
        HOSTILE + "test_a_full_mailbox_refuses_and_stores_nothing",
        "the mailbox drops its oldest command",
        (
            (
                STREAMS + "topology.py",
                '                discard="new",\n                discard_new_per_subject=True,\n',
                "",
            ),
        ),
    ),
    Fault(
        "P1",
        HOSTILE + "test_foreign_bytes_in_every_subject_stop_nobody",
        "a message that is no envelope is acknowledged without a commit",
        (
            (
                AGENTS + "deciding/decide.py",
                "    verdict = _known(fold, chain, queued, envelope)\n",
                "    if queued.problem is not None:\n        return Verdict.DONE\n"
                "    verdict = _known(fold, chain, queued, envelope)\n",
            ),
        ),
    ),
    Fault(
        "P1",
        HOSTILE + "test_a_full_journal_pushes_back_and_goes_on_when_there_is_room",
        "a full journal is not told to anybody",
        (
            (
                AGENTS + "live/live_agent.py",
                "        if isinstance(error, LimitExceeded):\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P1",
        HOSTILE + "test_an_undecodable_record_stops_its_agent_and_no_other",
        "an agent that can't read its journal keeps its partition's credit",
        (
            (
                AGENTS + "live/live_agent.py",
                "        self._enter(Phase.BROKEN)\n        self.error = error\n",
                "        self.error = error\n        return\n",
            ),
        ),
    ),
    Fault(
        "P1",
        OWNER + "test_a_command_that_kills_its_process_parks_only_itself",
        "no owner is ever suspicious",
        (
            (
                AGENTS + "owner/owned_partition.py",
                "self.guarded = bool(record.note or record.crashes) or buggify(",
                "self.guarded = False and buggify(",
            ),
        ),
    ),
    Fault(
        "P1",
        HOSTILE + "test_a_command_that_is_late_expires",
        "deadlines are not judged",
        (
            (
                AGENTS + "deciding/decide.py",
                "    elif envelope.deadline and now_us > envelope.deadline:\n",
                "    elif False:\n",
            ),
        ),
    ),
    Fault(
        "P2",
        HOSTILE + "test_a_corrupt_snapshot_is_ignored",
        "a snapshot's digest is not compared with its commit's",
        (
            (
                AGENTS + "recovery/look.py",
                "    if commit.digest != snapshot.digest or "
                "commit.revision != snapshot.revision:\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "P3",
        ONCE
        + "test_a_retry_after_a_lost_acknowledgement_with_a_restart_in_between_is_applied_once",
        "the sender window forgets",
        (WINDOWS_FORGET,),
    ),
    Fault(
        "P3",
        ONCE
        + "test_a_client_that_retries_after_the_duplicate_window_is_answered_as_the_first_time",
        "ids of commands without a number are not remembered",
        (
            (
                AGENTS + "deciding/known.py",
                "    seen = fold.ids.get(id)\n",
                "    seen = None\n",
            ),
        ),
    ),
    Fault(
        "P3",
        ONCE + "test_the_same_id_to_two_agents_is_two_commands",
        "the message id leaves the agent out, and a duplicate is believed to be the same",
        (
            (
                STREAMS + "queues/messages.py",
                'return f"{envelope.agent}/{envelope.id}"',
                "return envelope.id",
            ),
            (AGENTS + "client/sending.py", "if ack.duplicate:", "if False:"),
        ),
    ),
    Fault(
        "P3",
        ONCE + "test_an_append_whose_answer_is_lost_is_not_done_twice",
        "a timeout is taken for a failure, and the append blindly tried again",
        (
            (
                AGENTS + "live/live_agent.py",
                "        self.reread()\n\n    def _drop_chain",
                "        self._enter(Phase.RUNNING)\n        self.wake()\n\n    def _drop_chain",
            ),
        ),
    ),
    Fault(
        "P3",
        ONCE + "test_an_ask_whose_reply_was_lost_is_answered",
        "the sender never asks again",
        ((AGENTS + "client/asking.py", "ASK_AGAIN: Final = 1.0", "ASK_AGAIN: Final = 1_000.0"),),
    ),
    Fault(
        "P3",
        ONCE + "test_a_crash_between_append_and_dispatch_leaves_no_effect_out",
        "recovery dispatches nothing again",
        (
            (
                AGENTS + "recovery/tail.py",
                "self._redo = [job for job in self._redo if job[0].revision > out]",
                "self._redo = [job for job in self._redo if job[0].revision < 0 * out]",
            ),
        ),
    ),
    Fault(
        "P3",
        ONCE + "test_a_crash_between_dispatch_and_acknowledgement_doubles_no_effect",
        "the sender window forgets",
        (WINDOWS_FORGET,),
    ),
    Fault(
        "P3",
        ONCE + "test_a_zombie_owner_that_dispatches_late_changes_nothing",
        "an agent's older number is taken for a new one",
        (
            (
                CORE + "memory/windows.py",
                "    if sent_by_agent(sender):\n        return True\n",
                "    if sent_by_agent(sender):\n        return number == highest\n",
            ),
        ),
    ),
    Fault(
        "P3",
        TIME + "test_a_firing_that_comes_late_or_twice_is_only_acknowledged",
        "a firing that is not open is applied",
        (
            (
                AGENTS + "deciding/known.py",
                "return _absent(fold, queued, envelope.number)",
                "return None",
            ),
        ),
    ),
    Fault(
        "P3",
        TIME + "test_a_call_whose_host_died_runs_again_and_its_result_counts_once",
        "a result whose call is closed is applied",
        (
            (
                AGENTS + "deciding/known.py",
                "return _absent(fold, queued, revision_of(envelope.call))",
                "return None",
            ),
        ),
    ),
    Fault(
        "P3",
        TIME + "test_a_timer_fires_after_a_restart_of_everything",
        "a schedule is counted as dispatched and never set",
        (
            (
                AGENTS + "effects/outbox.py",
                "                await self._schedule(commit, encoding, index, effect)\n",
                "                return\n",
            ),
            (
                AGENTS + "owner/owned_partition.py",
                "        if fold.timers:\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P3",
        TIME + "test_an_open_timer_whose_schedule_was_lost_is_set_again_at_recovery",
        "open timers are not asserted",
        (
            (
                AGENTS + "owner/owned_partition.py",
                "        if fold.timers:\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P4",
        KILL + "test_killed_hosts_lose_and_double_nothing",
        "what is put back goes to the end of its lane",
        (
            (
                AGENTS + "deciding/waiting.py",
                "        self._lane(queued.lane).appendleft(queued)\n",
                "        self._lane(queued.lane).append(queued)\n",
            ),
        ),
    ),
    Fault(
        "P4",
        "tests/agents/test_manager.py::"
        "test_an_agent_that_is_stopped_with_much_waiting_keeps_the_order",
        "what waits when an agent is stopped goes behind what came later",
        (
            (
                AGENTS + "live/live_agent.py",
                "        self.held = waited + (self.held or []) or None",
                "        self.held = (self.held or []) + waited or None",
            ),
        ),
    ),
    Fault(
        "P5",
        ONCE + "test_two_hosts_for_one_agent_append_one_history",
        "a single append has no compare-and-set",
        (
            (
                STREAMS + "journal/group_commit.py",
                "{**headers, **expected}",
                "headers",
            ),
        ),
    ),
    Fault(
        "P5",
        OWNER + "test_a_host_paused_past_its_lease_carries_on_as_a_newcomer",
        "a host that lost its lease does not join again",
        (
            (
                AGENTS + "hosting/host.py",
                "                await self._start_over()\n",
                "                pass\n",
            ),
        ),
    ),
    Fault(
        "P5",
        OWNER + "test_a_killed_host_is_taken_over_within_its_lease_and_a_second",
        "hosts look for partitions every five seconds",
        (
            (
                AGENTS + "placement/host_watch.py",
                "asyncio.timeout(LOOK_SECONDS)",
                "asyncio.timeout(5.0)",
            ),
        ),
    ),
    Fault(
        "P5",
        OWNER + "test_a_host_that_leaves_hands_over_at_once",
        "a host that leaves says nothing",
        NEVER_LEAVES,
    ),
    Fault(
        "P5",
        OWNER + "test_a_terminated_host_process_drains_and_exits_zero",
        "a host that leaves says nothing",
        NEVER_LEAVES,
    ),
    Fault(
        "P5",
        OWNER + "test_a_stopped_agent_stays_stopped_on_the_next_owner",
        "the mark is not read",
        (
            (
                AGENTS + "owner/owned_partition.py",
                "stopped=key in self.stopped",
                "stopped=False",
            ),
        ),
    ),
    Fault(
        "P6",
        HOSTILE + "test_a_journal_that_went_back_stops_its_agents_until_the_epoch_is_raised",
        "the journal's end is not compared with what was known",
        (
            (
                AGENTS + "services/journal_ends.py",
                "        if error is not None:\n            raise error\n",
                "",
            ),
        ),
    ),
    Fault(
        "P7",
        HOSTILE + "test_nobody_edits_history",
        "the journal allows deletes",
        (
            (STREAMS + "topology.py", "                deny_delete=True,\n", ""),
            (STREAMS + "topology.py", "                deny_purge=True,\n", ""),
        ),
    ),
    Fault(
        "P7",
        HOSTILE + "test_a_record_that_was_changed_is_corrupt",
        "the chain is not checked",
        (
            (
                CORE + "fold.py",
                "        self._check_next(commit)\n        self.state = state\n",
                "        self.state = state\n",
            ),
        ),
    ),
)
