"""Faults in reads that claim to be complete: on a cluster a replica's answer is not the truth."""

from tests.faults.commands import AGENTS, STREAMS
from tests.faults.fault import Fault

LAGGING = "tests/contracts/test_lagging.py::"
READING = "tests/simulations/test_reading.py::"
READS = "tests/agents/test_reads.py::"

_PAGE = (
    STREAMS + "reading/messages.py",
    "        self._lags = self._end is not None and not more and not self.done\n",
    "        if not more and self._end is not None:\n            self._end = self.start - 1\n",
)
_BUCKET = (
    STREAMS + "buckets/kv.py",
    "while last is not None and end < last.sequence:",
    "while last is not None and not found:",
)

READ_FAULTS: tuple[Fault, ...] = (
    Fault(
        "reads",
        LAGGING + "test_a_history_is_whole_though_a_replica_lags",
        "a replica that has no more is believed",
        (_PAGE,),
    ),
    Fault(
        "reads",
        READING + "test_no_read_is_older_than_what_its_reader_has_seen",
        "a replica that has no more is believed, in worlds",
        (_PAGE,),
    ),
    Fault(
        "reads",
        LAGGING + "test_a_wide_history_is_whole_though_a_replica_lags",
        "a consumer that gives nothing is made anew, and nobody else is asked",
        (
            (
                STREAMS + "reading/messages.py",
                "self._lags = self._end is not None and stalled and not self.done",
                "self._lags = False",
            ),
        ),
    ),
    Fault(
        "reads",
        LAGGING + "test_a_bucket_is_as_its_leader_has_it",
        "what a replica lacks of a bucket is not asked of the leader",
        (_BUCKET,),
    ),
    Fault(
        "reads",
        LAGGING + "test_marks_of_stopped_agents_are_as_the_leader_has_them",
        "what was deleted of a bucket is told by any replica",
        ((STREAMS + "buckets/kv.py", " if self._prefix + entry.key in standing]", "]"),),
    ),
    Fault(
        "reads",
        READING + "test_no_living_host_is_taken_for_dead_while_replicas_lag",
        "leases are read from any replica",
        (_BUCKET,),
    ),
    Fault(
        "reads",
        LAGGING + "test_a_lease_that_stands_though_it_ran_out_is_no_sign_of_life",
        "a host lives while its lease stands",
        (
            (
                STREAMS + "buckets/leases.py",
                "for entry in self._standing if self._left(entry) > 0]",
                "for entry in self._standing]",
            ),
        ),
    ),
    Fault(
        "reads",
        READING + "test_a_revived_lease_keeps_no_partition_without_an_owner",
        "a host lives while its lease stands, in a world",
        (
            (
                STREAMS + "buckets/leases.py",
                "for entry in self._standing if self._left(entry) > 0]",
                "for entry in self._standing]",
            ),
        ),
    ),
    Fault(
        "reads",
        READS + "test_a_state_advances_the_token_and_obeys_it",
        "a state does not obey its reader's token",
        (
            (
                AGENTS + "histories/reading.py",
                "bus.subjects.journal(agent), at_least=at_least)",
                "bus.subjects.journal(agent))",
            ),
        ),
    ),
    Fault(
        "reads",
        READS + "test_a_query_waits_for_what_is_stored_and_not_acknowledged",
        "a query that waits is not told of a commit that has landed",
        (
            (
                AGENTS + "owner/owned_partition.py",
                "        if self._service.waiting:\n            self._service.ready(key)\n",
                "",
            ),
        ),
    ),
    Fault(
        "reads",
        READS + "test_what_an_owner_cannot_reach_is_never_told_as_a_refusal",
        "an error that callers do not know is told as a refusal",
        (
            (
                AGENTS + "client/answers.py",
                "        return Unavailable(f\"{answer.error or 'failed'}: {answer.reason}\")\n",
                "        return Rejected(answer.reason)\n",
            ),
            (
                AGENTS + "answering/owner_service.py",
                "if vars(errors).get(kind.__name__) is kind)",
                "if kind)",
            ),
        ),
    ),
    Fault(
        "reads",
        READS + "test_a_stored_command_of_a_broken_agent_is_not_told_as_refused",
        "an owner that can't decide a stored command refuses it",
        (
            (
                AGENTS + "client/answers.py",
                '    if answer.outcome != "failed" or answer.error == "Conflict":\n',
                '    if answer.outcome != "failed" or answer.error != "Unavailable":\n',
            ),
        ),
    ),
    Fault(
        "reads",
        READS + "test_a_receipt_ends_in_unknown_whatever_is_unavailable",
        "a receipt asks once",
        (
            (
                AGENTS + "client/receipt.py",
                "                except Unavailable:\n                    attempt += 1\n",
                "                except Unavailable:\n                    raise\n",
            ),
        ),
    ),
    Fault(
        "reads",
        READS + "test_what_may_be_stored_is_not_told_as_refused_by_another_try",
        "a second try's refusal is told though the first may be stored",
        (
            (
                AGENTS + "client/sending.py",
                "                    if not stored:\n                        raise\n",
                "                    if stored or not stored:\n                        raise\n",
            ),
            (
                AGENTS + "client/sending.py",
                "                if not stored:\n                    raise\n"
                "                raise self._unknown(route, envelope, stored, str(error))",
                "                if stored or not stored:\n                    raise\n"
                "                raise self._unknown(route, envelope, stored, str(error))",
            ),
        ),
    ),
    Fault(
        "reads",
        "tests/agents/test_lost_lease.py::test_a_renewal_whose_answer_is_lost_costs_no_partition",
        "a host takes its own renewal for another's",
        (
            (
                AGENTS + "hosting/host.py",
                "landed = await self._leases.revision(self.id) if self.lease_holds else 0",
                "landed = 0",
            ),
        ),
    ),
)
