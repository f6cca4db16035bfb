"""What readers of an agent's history leave out: as its last repair, a commit like others, says."""

from collections.abc import Mapping
from typing import Any

from moonlet.core.commit import Commit, Skip
from moonlet.core.errors import Corrupt, Undecodable
from moonlet.core.ids import AgentId
from moonlet.streams.api import StoredMessage
from moonlet.streams.journal.journal import Journal, decode_plain_commit

Skips = Mapping[int, Skip]
"""By the sequence of the message."""


async def skips_of(journal: Journal, agent: AgentId) -> Skips:
    """What is left out of an agent's history. Raises `Unavailable` and the like."""
    return await skips_behind(journal, await journal.last(agent))


async def skips_behind(journal: Journal, last: StoredMessage | None) -> Skips:
    """The same, if the agent's last commit is at hand; empty if that makes no sense."""
    if last is None:
        return {}
    try:
        commit = decode_plain_commit(journal.stream, last)
        return await skips_named(journal, commit)
    except (Corrupt, Undecodable):
        return {}


async def skips_named(journal: Journal, commit: Commit[Any]) -> Skips:
    """What the repair leaves out that a commit is, or names. Raises `Undecodable`, `Corrupt`."""
    repair = commit.repair
    if repair is None and commit.repaired:
        stored = await journal.message(commit.repaired)
        if stored is not None:
            found = decode_plain_commit(journal.stream, stored)
            repair = found.repair if found.agent == commit.agent else None
        if repair is None:
            raise Corrupt(
                f"{commit.agent}: its repair at sequence {commit.repaired} of {journal.stream} is"
                " gone: restore the journal from a backup",
                stream=journal.stream,
                sequence=commit.repaired,
            )
    return {} if repair is None else {skip.sequence: skip for skip in repair.skips}
