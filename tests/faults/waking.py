"""Faults in bringing agents back: who waits for whom, what is read again, and for how long."""

from tests.faults.commands import AGENTS
from tests.faults.fault import Fault

WAKING = "tests/agents/test_waking.py::"
COST = "tests/agents/test_snapshot_cost.py::"
TURNS = "tests/agents/test_recoveries.py::"
WALKS = "tests/agents/test_walks.py::"
WALK = AGENTS + "recovery/journal_walk.py"
POLICY = AGENTS + "recovery/snapshot_policy.py"

WAKING_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P10",
        WAKING + "test_nobody_waits_behind_commands_of_agents_that_are_being_read",
        "commands of agents that are being read use up the credit of all",
        (
            (
                AGENTS + "owner/feed.py",
                "if agent.fold is None and holds_nobody_up(agent, delivery):",
                "if False:",
            ),
        ),
    ),
    Fault(
        "P10",
        WAKING + "test_two_hundred_cold_agents_among_a_thousand_are_answered_at_once",
        "every agent is read by itself",
        (
            (
                AGENTS + "recovery/tail_reads.py",
                "return worth or buggify(",
                "return buggify(",
            ),
        ),
    ),
    Fault(
        "P2",
        WAKING + "test_who_joins_while_a_batch_is_folded_misses_none_of_it",
        "who joins a pass is taken for one that it has read from the start",
        (
            (
                AGENTS + "recovery/journal_pass.py",
                "        self._joined[subject] = messages\n",
                "",
            ),
        ),
    ),
    Fault(
        "P2",
        "tests/agents/test_journal_pass.py::"
        "test_what_comes_by_of_one_that_joins_is_not_taken_for_kept",
        "what is kept of an agent is kept on while its own tail takes what comes by",
        (
            (
                AGENTS + "recovery/journal_pass.py",
                "        self.kept.take(subject)  # what comes by is its own now: kept, it would"
                " have a hole\n",
                "",
            ),
        ),
    ),
    Fault(
        "P10",
        WAKING + "test_what_is_critical_does_not_wait_for_the_end_of_a_pass",
        "what is critical waits for the end of a pass like all else",
        (
            (
                AGENTS + "recovery/tail_reads.py",
                "            or (one.urgent and self._has_place_beside(tail.stream))\n",
                "",
            ),
            (
                AGENTS + "recovery/tail_reads.py",
                "if going.ahead > WIDE and self._has_place_beside(going.kept.stream):",
                "if False:",
            ),
            (
                AGENTS + "recovery/tail_reads.py",
                "beside = not going or self._has_place_beside(stream)",
                "beside = not going",
            ),
        ),
    ),
    Fault(
        "P10",
        TURNS + "test_no_more_than_the_limit_have_a_turn_and_the_most_urgent_is_next",
        "recoveries have their turns in the order they came",
        (
            (
                AGENTS + "recovery/turns.py",
                "(urgency, self._count, granted)",
                "(0, self._count, granted)",
            ),
        ),
    ),
    Fault(
        "P10",
        TURNS + "test_who_gives_up_waiting_holds_nobody_up_even_in_the_moment_of_its_turn",
        "a turn that was granted to one who gave up is lost",
        (
            (
                AGENTS + "recovery/turns.py",
                "self._next()  # it was granted in the same moment: pass it on",
                "pass",
            ),
        ),
    ),
    Fault(
        "P10",
        COST + "test_a_host_that_leaves_takes_the_longest_tails_first_and_no_longer_than_it_may",
        "a host that leaves takes all snapshots, however long that is",
        ((POLICY, "while left and clock.monotonic() - began < seconds:", "while left:"),),
    ),
    Fault(
        "P10",
        COST + "test_others_have_their_turn_while_a_host_leaves",
        "snapshots are taken in one go",
        ((POLICY, "                await asyncio.sleep(0)\n", "                pass\n"),),
    ),
    Fault(
        "P10",
        COST + "test_a_tail_that_was_spread_over_much_of_the_journal_is_read_once",
        "what a recovery cost the server is not looked at",
        ((POLICY, "cost.gone_over >= SNAPSHOT_SPAN", "cost.gone_over < 0"),),
    ),
    Fault(
        "P10",
        WALKS + "test_a_few_among_many_are_walked_back_to",
        "nobody is walked back to",
        ((AGENTS + "recovery/tail_reads.py", "if len(together) < WALK_WORTH:", "if together:"),),
    ),
    Fault(
        "P10",
        WALKS + "test_many_are_read_in_a_pass",
        "all are walked back to, however many these are",
        (
            (
                AGENTS + "recovery/tail_reads.py",
                "if walked * WALK_COST > stretch + PASS_FIXED or buggify(",
                "if buggify(",
            ),
        ),
    ),
    Fault(
        "P10",
        WALKS + "test_walks_on_end_once_they_cost_as_much_as_a_pass",
        "each walk is judged as if there had been none before",
        ((AGENTS + "recovery/tail_reads.py", "        walked += sum(", "        walked = sum("),),
    ),
    Fault(
        "P10",
        WALKS + "test_no_more_is_held_than_may_be",
        "commits are held until all of an agent are there, however large they are",
        ((WALK, "self._bytes + size > WALK_BYTES or buggify(", "buggify("),),
    ),
    Fault(
        "P2",
        WALKS + "test_a_hint_past_what_is_no_commit_does_not_hide_it",
        "what a header tells is believed: nobody counts what the agent has",
        ((WALK, "return count == tail.fold.revision + tail.missing", "return count > 0"),),
    ),
)
