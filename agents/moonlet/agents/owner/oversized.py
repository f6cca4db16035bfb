"""Records that are too large for a message: what is stored before the commits that name them."""

from collections.abc import Sequence

from moonlet.agents.deciding import PendingCommit
from moonlet.streams import Bus, store_apart


async def store_oversized(bus: Bus, commits: Sequence[PendingCommit]) -> None:
    """Store the large records, each under its digest; what is stored twice is stored once."""
    for pending in commits:
        if pending.oversized:
            payload, headers = pending.record
            kept, named = await store_apart(bus, pending.digest, payload)
            pending.record = kept, {**headers, **named}
