"""The owned partitions of one number of one pool: fed together if no other host has any of them.

A host that runs all of a pool has one feed for each of its slots, however many types there are.
Where other hosts run types of the pool too, each type has a feed of its own. When that changes, the
consumers are deleted and made anew, never edited: what is not acknowledged is delivered again, in
order, and recognised.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from moonlet.agents.owner.feed import ALL, Fed, Feed
from moonlet.agents.services import HostServices
from moonlet.core.marks import reached
from moonlet.streams import Partition


class Slotted(Fed, Protocol):
    """A partition, as far as its slot knows it."""

    record: Partition


class Slot:
    """Number `number` of `pool`; `lost` is called if a newer owner of any of it is noticed."""

    def __init__(
        self, services: HostServices, pool: str, number: int, lost: Callable[[], None]
    ) -> None:
        self.pool = pool
        self.number = number
        self._services = services
        self._lost = lost
        self._feeds: list[Feed] = []
        self._served: tuple[frozenset[Slotted], bool] = frozenset(), False

    async def serve(
        self, partitions: Mapping[str, Slotted], rivals: frozenset[str], *, shared: bool
    ) -> None:
        """Feed these, by type; nothing is done if they are fed so. Raises what the server says.

        `rivals` are all types of the pool. After an error the slot must be closed.
        """
        wanted = frozenset(partitions.values()), shared
        if wanted == self._served:
            return
        if self._feeds:
            reached("a slot's partitions are fed anew")
            await self.close(delete=True)
        if shared:
            revision = max(partition.record.revision for partition in partitions.values())
            await self._open(ALL, partitions, revision, rivals)
        else:
            for type_, partition in partitions.items():
                only = {type_: partition}
                await self._open(type_, only, partition.record.revision, frozenset({type_}))
        self._served = wanted

    async def _open(
        self, type: str, fed: Mapping[str, Slotted], revision: int, rivals: frozenset[str]
    ) -> None:
        feed = Feed(
            self._services,
            type,
            self.pool,
            self.number,
            fed=fed,
            revision=revision,
            rivals=rivals,
            lost=self._lost,
        )
        self._feeds.append(feed)
        await feed.open()

    def pause(self) -> None:
        """Have nothing more delivered."""
        for feed in self._feeds:
            feed.pause()

    async def close(self, *, delete: bool) -> None:
        """Stop; with `delete` the unacknowledged rest is free for the next owner at once."""
        feeds, self._feeds = self._feeds, []
        self._served = frozenset(), False
        for feed in feeds:
            feed.pause()
        for feed in feeds:
            await feed.close(delete=delete)
