"""Bugs in what is remembered beyond memory: an agent that forgets whom it has heard."""

from tests.simulations.mutant import Mutant

PAST = "core/moonlet/core/memory/past.py"
JOINED = "core/moonlet/core/memory/windows.py"
KEPT = "streams/moonlet/streams/journal/snapshots.py"
KEEPER = "agents/moonlet/agents/recovery/past_keeper.py"
KNOWN = "agents/moonlet/agents/deciding/known.py"

MEMORY: tuple[Mutant, ...] = (
    Mutant(
        "forgotten-sender",
        "what leaves memory is forgotten",
        ((PAST, "        if self.keeps:\n", "        if self.keeps and not fact:\n"),),
    ),
    Mutant(
        "snapshot-without-fresh",
        "a snapshot leaves out what left memory and is in no run",
        ((KEPT, "        dict(past.fresh),\n", "        {},\n"),),
    ),
    Mutant(
        "snapshot-without-runs",
        "a snapshot does not say that it relies on stored runs",
        ((KEPT, "        past.stored.revision,\n", "        0,\n"),),
    ),
    Mutant(
        "nothing-looked-up",
        "a sender that a stored run may know is taken for new",
        ((PAST, "            elif not recalled:\n", "            elif self.place < -1:\n"),),
    ),
    Mutant(
        "runs-lost-in-merging",
        "runs that become one lose those of them that were stored",
        (
            (
                KEEPER,
                "self._merged(agent, merged), upto)",
                "self._merged(agent, known.held), upto)",
            ),
        ),
    ),
    Mutant(
        "heard-again-and-half-known",
        "a client that is heard again is known by what came since, and no more",
        (
            (PAST, "        if known and not by_agent:\n", "        if not by_agent:\n"),
            (
                PAST,
                "        if joint is not None and self.keeps:\n",
                "        if not self.keeps:\n",
            ),
        ),
    ),
)
