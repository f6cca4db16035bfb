"""A slow second look: agents are folded from their first commit, and held against what is believed.

What is in memory came from a snapshot, or from handlers that may have changed a state in place. A
snapshot is believed since it names its commit; what it says of the state nobody has compared with
the journal, and whoever can write to its stream can have written it.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from itertools import islice
from typing import Any, Final, NamedTuple

from moonlet.agents.deciding import fold_message, initial_state, picture
from moonlet.agents.live import LiveAgent
from moonlet.agents.owner.owned_partition import OwnedPartition
from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError
from moonlet.core.fold import Fold
from moonlet.core.likeness import Unlike, alike, any_key, first_unlike
from moonlet.core.marks import buggify, reached
from moonlet.streams import Snapshot, skips_behind
from moonlet.telemetry import get_logger

log = get_logger(__name__)

SCRUB_EVERY: Final = 5.0
"""Seconds between two agents that are looked at."""

SCRUB_SHARE: Final = 100
"""Times as long as a look has taken passes until the next, if that is longer."""

SLICE: Final = 0.002
"""Seconds of folding at a stretch."""


class Believed(NamedTuple):
    """What is believed of an agent: its state at a revision, and a picture of it then."""

    revision: int
    sequence: int
    state: Any
    picture: bytes


class Scrubber:
    """One a host. `partitions` are those that it owns now."""

    def __init__(
        self, services: HostServices, partitions: Callable[[], Iterable[OwnedPartition]]
    ) -> None:
        self._services = services
        self._partitions = partitions

    async def run(self) -> None:
        """Look at one agent after the other, for ever."""
        clock = self._services.bus.clock
        pause = SCRUB_EVERY
        while True:
            await asyncio.sleep(SLICE if buggify("the scrubber does not rest") else pause)
            began = clock.monotonic()
            chosen = self._choose()
            if chosen is not None:
                try:
                    await self.look(*chosen)
                except MoonletError as error:
                    log.info("an agent can't be looked at again", error=str(error))
            pause = max(SCRUB_EVERY, (clock.monotonic() - began) * SCRUB_SHARE)

    def _choose(self) -> tuple[OwnedPartition, LiveAgent] | None:
        """One that came from a snapshot and was not looked at since; else any."""
        partitions = [partition for partition in self._partitions() if partition.agents]
        for partition in partitions:
            agent = partition.doubtful.next()
            if agent is not None:
                return partition, agent
        if not partitions:
            return None
        chance = self._services.bus.entropy.uniform
        partition = partitions[int(chance() * len(partitions))]
        index = int(chance() * len(partition.agents))
        return partition, next(islice(partition.agents.values(), index, None))

    async def look(self, partition: OwnedPartition, agent: LiveAgent) -> None:
        """Fold it anew up to what is in memory; what differs is told, dropped, and read again.

        Raises `MoonletError` if the journal can't be read to there, and has told nothing then.
        """
        fold, agent_type = agent.fold, partition.agent_type
        if fold is None or not fold.revision:
            return
        shown = picture(agent_type, fold.state)
        held = Believed(fold.revision, fold.sequence, fold.state, shown)
        snapshot = await self._services.snapshots.load(agent.id)
        if snapshot is not None and snapshot.code != agent_type.state_code():
            snapshot = None
        found = await self._fold(partition, agent, held, snapshot)
        if found is None:
            return
        state, wrong = found
        facts = {"agent": str(agent.id), "revision": held.revision}
        if picture(agent_type, held.state) != shown:
            self._services.alarm("a state was changed in place while it was looked at", **facts)
        unlike = None if alike(state, held.state) else first_unlike(state, held.state)
        if wrong is not None:
            reached("a snapshot is not the fold of its commits")
            await self._tell("a snapshot is not the fold of its commits", partition, agent, wrong)
        if unlike is not None and agent.fold is not None:
            reached("a state in memory is not the fold of its commits")
            await self._tell("a state is not the fold of its commits", partition, agent, unlike)

    async def _fold(
        self, partition: OwnedPartition, agent: LiveAgent, held: Believed, snapshot: Snapshot | None
    ) -> tuple[Any, Unlike | None] | None:
        """The state at what is held, and how the snapshot differs; None if that isn't come to."""
        stream, agent_type = partition.journal_stream, partition.agent_type
        clock, journal = self._services.bus.clock, self._services.journal(partition.journal_stream)
        last = await journal.last(agent.id)
        skips = await skips_behind(journal, last)
        if last is None or (skips and last.sequence != held.sequence):
            return None  # what is left out may have been known to one of them only
        fold: Fold[Any] = Fold(initial_state(agent_type))
        fold.past.keeps = False  # nothing is decided on it
        wrong: Unlike | None = None
        sliced = clock.monotonic()
        async with aclosing(journal.messages(agent.id, end=held.sequence)) as batches:
            async for batch in batches:
                for message in batch:
                    if message.sequence > held.sequence:
                        break
                    fold_message(agent_type, stream, fold, message, skips)
                    if snapshot is not None and snapshot.digest == fold.digest:
                        wrong = agent_type.states.unlike(fold.state, snapshot.state)
                    if clock.monotonic() - sliced >= SLICE:
                        await asyncio.sleep(0)
                        sliced = clock.monotonic()
        return (fold.state, wrong) if fold.revision == held.revision else None

    async def _tell(
        self, what: str, partition: OwnedPartition, agent: LiveAgent, unlike: Unlike
    ) -> None:
        """Raise the alarm, drop the snapshot, and have the agent read its journal."""
        self._services.alarm_once(
            what,
            f"{agent.id} {any_key(unlike.path)}",
            agent=str(agent.id),
            field=unlike.path,
            journal=unlike.was,
            holds=unlike.comes_back,
            so="its snapshot is dropped and the agent reads its journal: see docs/operations.md",
        )
        await self._services.snapshots.drop(agent.id)
        partition.doubtful.read_again(agent.id.key)
