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
