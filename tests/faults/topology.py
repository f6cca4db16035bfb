"""Faults in what stands on the server and who may change it: topology, journals, versions."""

from tests.faults.commands import AGENTS, STREAMS
from tests.faults.fault import Fault

TOPOLOGY_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_a_bucket_that_was_just_made_may_have_no_leader_yet",
        "a bucket without a leader is given up at once",
        ((STREAMS + "buckets/kv.py", "UNHEARD_MAX: Final = 5", "UNHEARD_MAX: Final = 1"),),
    ),
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_a_host_that_starts_plainly_changes_nothing_of_what_was_asked_for",
        "a host goes by what it was told, whatever stands",
        (
            (
                STREAMS + "admin/topology_record.py",
                "        )\n    return standing\n",
                "        )\n    return told\n",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_who_is_told_otherwise_than_what_stands_is_refused_by_name",
        "what is said otherwise is passed over",
        ((STREAMS + "admin/topology_record.py", "    if differences:\n", "    if False:\n"),),
    ),
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_sizes_change_by_apply_alone_and_twice_is_harmless",
        "a host brings streams to what was asked for by itself",
        (
            (
                STREAMS + "admin/topology_record.py",
                'step for step in steps if step.action not in ("update", "gone")',
                'step for step in steps if step.action != "gone"',
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/streams/test_stored_topology.py::"
        "test_an_agent_type_with_a_history_does_not_change_its_journal",
        "nobody looks whether a type has commits",
        (
            (
                STREAMS + "admin/topology_plan.py",
                "            if _home_of(wanted, type_) != stream:",
                "            if False:",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_journals_that_went_back.py::"
        "test_a_journal_made_anew_while_no_host_ran_is_corrupt_until_that_is_accepted",
        "a journal made anew passes for the one that was deleted",
        (
            (
                STREAMS + "journal/marks.py",
                "    if now.created != mark.created:\n",
                "    if False:\n",
            ),
            (
                STREAMS + "journal/marks.py",
                "    if facts.last < mark.sequence:\n",
                "    if False:\n",
            ),
            (STREAMS + "journal/marks.py", "    if mark.digest:\n", "    if False:\n"),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_journals_that_went_back.py::"
        "test_a_journal_made_anew_under_a_running_host_takes_no_commit",
        "that an agent has no commit is believed of any journal",
        (
            (
                AGENTS + "services/journal_ends.py",
                "            facts is None or mark_of(facts, 0).incarnation != mark.incarnation\n",
                "            False\n",
            ),
            (AGENTS + "live/live_agent.py", "        self._owner.suspect(self)\n", ""),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_journals_that_went_back.py::"
        "test_without_marks_snapshots_bear_witness_that_a_journal_was_made_anew",
        "nobody asks the snapshots",
        (
            (
                AGENTS + "services/journal_ends.py",
                "            mark = await self._store.witnessed(stream, types)\n",
                "            mark = None\n",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_journals_that_went_back.py::"
        "test_a_journal_that_is_gone_when_a_host_starts_is_named_and_not_made",
        "a host makes a journal that is missing",
        (
            (
                STREAMS + "admin/topology_record.py",
                '    if step.action == "create" and step.stream in bus.topology.journal_streams:',
                "    if False:",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_deleted_streams.py::"
        "test_after_the_leases_were_deleted_a_host_that_starts_over_gets_its_partitions",
        "consumers of owners whose records are gone stay",
        (
            (
                STREAMS + "admin/restoring.py",
                '            if re.search(r"-r[0-9]+$", name):\n',
                "            if False:\n",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_deleted_streams.py::"
        "test_a_stopped_agent_stays_stopped_when_the_registry_was_deleted",
        "what stood in the registry is forgotten with it",
        (
            (
                AGENTS + "hosting/stream_watch.py",
                "                    await services.registry.mark_stopped(agent, True)\n",
                "                    pass\n",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_versions.py::test_a_rule_that_a_deploy_changed_is_told_from_tampering",
        "what another version decided otherwise is a fault",
        (
            (
                AGENTS + "histories/verification.py",
                "                if not self._is_deploy(commit):\n",
                "                if True:\n",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_versions.py::"
        "test_an_old_host_leaves_a_command_that_it_does_not_know_to_a_newer_one",
        "a command that this code doesn't know is rejected, whoever is newer",
        (
            (
                AGENTS + "deciding/decide.py",
                "        if not queued.readable and rules.leave(envelope):\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P12",
        "tests/agents/test_versions.py::"
        "test_an_old_host_leaves_an_agent_whose_events_it_cannot_read_to_a_newer_one",
        "an agent that stopped is not left to newer code that comes later",
        (
            (
                AGENTS + "services/newer_code.py",
                "for type_ in self._left | self._unread if",
                "for type_ in self._left if",
            ),
        ),
    ),
    Fault(
        "P1",
        "tests/agents/test_versions.py::"
        "test_a_send_to_a_type_that_nobody_has_registered_yet_waits_for_it_with_an_alarm",
        "a send to a type that nobody has registered is given up at once",
        (
            (
                AGENTS + "effects/outbox.py",
                "            except (PayloadTooLarge, InvalidId, InvalidMessage) as error:\n",
                "            except (\n"
                "                PayloadTooLarge, InvalidId, InvalidMessage, UnknownAgentType\n"
                "            ) as error:\n",
            ),
        ),
    ),
    Fault(
        "P1",
        "tests/agents/test_foreign_consumers.py::"
        "test_a_foreign_consumer_on_a_queue_does_not_keep_hosts_from_their_work",
        "a foreign consumer is left where it is",
        (
            (
                STREAMS + "reading/consumer.py",
                "            await remove_foreign(self._bus, self.stream, terms.filters)\n",
                "            pass\n",
            ),
        ),
    ),
)
