"""P7: every commit that ever landed stands in its journal, under its digest, and nothing else does.

The chain itself is `chain`'s. Here the streams are compared with what was seen as it landed.
"""

from __future__ import annotations

from collections.abc import Iterator

from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.ids import AgentId
from moonlet.simulations.checkers.checker import Evidence, Finding
from moonlet.streams.subjects import Subjects


def check_immutable(world: Evidence) -> Iterator[Finding]:
    """Commits that are gone from their stream, or were exchanged."""
    streams = world.server.broker.model.streams
    subjects = Subjects(world.topology.prefix)
    for history in world.chronicle.histories.values():
        agent = AgentId.parse(history.agent)
        store = streams[world.topology.journal_of(agent.type)].store
        stored = store.by_subject.get(subjects.journal(agent), [])
        stored = [sequence for sequence in stored if sequence not in history.foreign]
        if len(stored) != len(history.commits):
            yield (
                "P7 immutable",
                f"{agent}: {len(history.commits)} commits have landed, {len(stored)} are stored",
            )
            continue
        for sequence, commit in zip(stored, history.commits, strict=True):
            digest = (store.messages[sequence].headers or {}).get(DIGEST_HEADER)
            if sequence != commit.sequence or digest != commit.digest:
                yield (
                    "P7 immutable",
                    f"{agent} r{commit.revision} landed at sequence {commit.sequence} with the"
                    f" digest {commit.digest}; at {sequence} stands {digest}",
                )
