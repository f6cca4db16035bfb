"""P5 and P7: an agent's revisions are 1, 2, 3 …, each commit naming the digest of the one before.

The chronicle folds each commit as it lands, so here is only what it met.
"""

from __future__ import annotations

from collections.abc import Iterator

from moonlet.simulations.checkers.checker import Evidence, Finding


def check_chain(world: Evidence) -> Iterator[Finding]:
    """Histories that don't hang together."""
    for history in world.chronicle.histories.values():
        if history.broken:
            yield "P5 one writer", history.broken
        for expected, commit in enumerate(history.commits, 1):
            if commit.revision != expected:
                yield (
                    "P5 one writer",
                    f"{history.agent}: revision {commit.revision} where {expected} comes next",
                )
                break
