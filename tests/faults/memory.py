"""Faults in what an agent remembers beyond its memory."""

from tests.faults.fault import Fault

NEVER = "tests/agents/test_never_forgotten.py::"
PAST = "core/moonlet/core/memory/past.py"
FORGETS = (PAST, "        if self.keeps:\n", "        if self.keeps and not fact:\n")

MEMORY_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P3",
        NEVER + "test_more_senders_than_memory_holds_are_known_after_restarts",
        "what leaves memory is forgotten",
        (FORGETS,),
    ),
    Fault(
        "P3",
        NEVER + "test_runs_that_vanish_under_a_living_owner_are_read_from_the_journal",
        "a page that is gone says that nobody was heard",
        (
            (
                "agents/moonlet/agents/recovery/past_keeper.py",
                "            raise _GoneError(run.name)\n",
                '            return b"\\x92\\xc4\\x00\\x90"\n',
            ),
        ),
    ),
    Fault(
        "P3",
        NEVER + "test_ids_and_sessions_are_known_at_any_delay_with_their_outcome",
        "an id is known by what is in memory alone",
        (
            (
                "agents/moonlet/agents/deciding/known.py",
                "    if seen is not None or not fold.past.any:\n",
                "    if seen is None or not fold.past.any:\n",
            ),
        ),
    ),
    Fault(
        "P3",
        NEVER + "test_a_number_far_ahead_makes_nothing_vanish",
        "any number of a client is believed",
        (
            (
                "agents/moonlet/agents/deciding/known.py",
                "    further = number - window[0] > WINDOW\n",
                "    further = False\n",
            ),
        ),
    ),
    Fault(
        "P3",
        NEVER + "test_what_was_out_when_an_agent_came_to_rest_is_not_sent_again",
        "that effects are out is not noted when an agent comes to rest",
        (
            (
                "agents/moonlet/agents/recovery/snapshot_policy.py",
                "        if not taken and fold.caused > fold.dispatched:\n",
                "        if not taken and fold.caused < 0:\n",
            ),
        ),
    ),
    Fault(
        "P3",
        NEVER + "test_a_client_numbers_no_further_ahead_than_is_believed",
        "a client goes on with its session whatever was never stored",
        (
            (
                "agents/moonlet/agents/client/sending.py",
                "        if route.last - route.landed >= WINDOW:\n",
                "        if route.last < 0:\n",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_old_questions.py"
        "::test_a_command_that_nobody_sent_has_no_outcome_and_costs_no_search",
        "an id's commit is searched for in the whole history",
        (
            (
                "agents/moonlet/agents/answering/owner_service.py",
                "        sequence = seen.sequence if isinstance(seen, Seen) else 0\n",
                "        sequence = 0\n",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/agents/test_old_questions.py"
        "::test_a_flood_of_questions_is_bounded_and_those_beyond_ask_again",
        "any number of old outcomes is searched for at once",
        (
            (
                "agents/moonlet/agents/answering/old_outcomes.py",
                "            if self._count >= SOUGHT_MAX:\n",
                "            if self._count < 0:\n",
            ),
        ),
    ),
    Fault(
        "P3",
        "tests/agents/test_verify.py"
        "::test_a_command_that_was_committed_twice_is_named_however_long_ago",
        "verify knows only the commands that an agent has in memory",
        (
            (
                "agents/moonlet/agents/histories/seen.py",
                "            if key in self._few:\n                return False\n",
                "",
            ),
            (
                "agents/moonlet/agents/histories/seen.py",
                "        if self._table[at : at + KEY] == key:\n            return False\n",
                "",
            ),
        ),
    ),
    Fault(
        "P3",
        "tests/agents/test_known.py"
        "::test_nothing_counts_twice_and_nothing_vanishes_whatever_left_memory",
        "what a client's window said before it left memory is not joined with what came since",
        (
            (
                "core/moonlet/core/memory/windows.py",
                "(other[1] & _MASK) << behind & _MASK if behind < WINDOW else 0",
                "0",
            ),
        ),
    ),
)
