"""The pasts of a host's agents on their way to the server and back: stored, merged, looked up.

Nothing here is trusted alone: a stored past names a commit, which is read again from the leader.
Where it is gone, or of another journal, the agent's journal is read from its first commit.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from heapq import heapify, heappop, heapreplace
from typing import Any, Final, NamedTuple

from moonlet.agents.services import HostServices
from moonlet.core.errors import Conflict, InvalidMessage
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.core.memory import Fact, Key, Past, SortedRun, Upto, find, items, joined, past
from moonlet.streams import Pasts, decode_commit

FANOUT: Final = 6
"""Runs of about one size from which they become one."""

KEEP_TRIES: Final = 3
"""How often storing begins anew since another owner stored too."""


class Loaded(NamedTuple):
    """A stored past; `runs` is None if there is none that fits the journal."""

    runs: list[SortedRun] | None
    upto: Upto
    place: int


class _GoneError(Exception):
    """A page that the list names is not there any more, or can't be read."""


class PastKeeper:
    """Made by a partition for the agents of one journal stream."""

    def __init__(self, services: HostServices, stream: str) -> None:
        self._services = services
        self._stream = stream
        self._pasts = Pasts(services.bus)

    async def load(self, agent: AgentId, revision: int) -> Loaded:
        """The agent's stored past, if it is of this journal, and not behind `revision`."""
        pasts, services = self._pasts, self._services
        found, place = await pasts.head(agent)
        none = Loaded(None, Upto(), place)
        if found is None or found.upto.revision > revision:
            return none
        if found.incarnation != await services.ends.incarnation(self._stream):
            return none
        upto = found.upto
        own = await services.journal(self._stream).message(upto.sequence)
        if own is None or own.subject != services.bus.subjects.journal(agent):
            return none
        commit, _ = decode_commit(self._stream, own)
        if commit.digest != upto.digest or commit.revision != upto.revision:
            return none
        return Loaded(await pasts.runs(agent, found), upto, place)

    async def bring_up(self, agent: AgentId, fold: Fold[Any]) -> bool:
        """Have the fold know the runs that are stored now; False if those it relies on are gone."""
        loaded = await self.load(agent, fold.revision)
        if loaded.runs is None or loaded.upto.revision < fold.past.stored.revision:
            if fold.past.stored.revision:
                return False
            fold.own_past().adopt([], Upto(), loaded.place)
        else:
            fold.own_past().adopt(loaded.runs, loaded.upto, loaded.place)
        return True

    # storing

    async def keep(self, agent: AgentId, fold: Fold[Any]) -> bool:
        """Store what the fold holds in runs; False if the stored ones it relies on are gone.

        The fold may go on meanwhile. Cancelled, or raising what the server says, it leaves the
        fold as it was. Raises `Conflict` if others store all the time.
        """
        for attempt in range(KEEP_TRIES):
            if attempt or fold.past.place < 0:
                if not await self.bring_up(agent, fold):
                    return False
            if not fold.past.held:
                return True
            try:
                await self._store(agent, fold)
                return True
            except Conflict:
                reached("the past of an agent was stored by another owner too")
            except _GoneError:
                return False
        raise Conflict(f"the past of {agent} is stored by others all the time")

    async def _store(self, agent: AgentId, fold: Fold[Any]) -> None:
        known, place = fold.past, fold.past.place
        upto = known.held[-1].upto
        merged = to_merge(known.runs)
        kept = [run for run in known.runs if run not in merged and run.pages is None]
        run = await self._pasts.store(agent, self._merged(agent, merged), upto)
        incarnation = await self._services.ends.incarnation(self._stream)
        runs = [*kept, run]
        place = await self._pasts.put_list(agent, incarnation, upto, runs, place=place)
        known.adopt(runs, upto, place)
        reached("what left an agent's memory is stored")
        names = {run.name for run in runs}
        for name in sorted(await self._pasts.names(agent) - names):
            await self._pasts.remove(agent, name)

    async def _merged(
        self, agent: AgentId, runs: list[SortedRun]
    ) -> AsyncIterator[tuple[Key, Fact]]:
        """The facts of all these runs, sorted, each key once."""
        sources = [self._items(agent, run) for run in runs]
        heap = []
        for number, source in enumerate(sources):
            heap.append((*(await anext(source)), number))
        heapify(heap)
        last, said = heap[0][0], None
        while heap:
            key, fact, number = heap[0]
            if key != last:
                assert said is not None
                yield last, said
                last, said = key, None
            said = joined(said, fact)
            following = await anext(sources[number], None)
            if following is None:
                heappop(heap)
            else:
                heapreplace(heap, (*following, number))
        if said is not None:
            yield last, said

    async def _items(self, agent: AgentId, run: SortedRun) -> AsyncIterator[tuple[Key, Fact]]:
        for number in range(len(run.fences)):
            await asyncio.sleep(0)  # others have their turn at every page
            for item in items(await self._page(agent, run, number)):
                yield item

    async def _page(self, agent: AgentId, run: SortedRun, number: int) -> bytes:
        if run.pages is not None:
            return run.pages[number]
        page = await self._pasts.page(agent, run, number)
        if page is None:
            raise _GoneError(run.name)
        return page

    # looking up

    async def look_up(self, agent: AgentId, fold: Fold[Any], keys: Iterable[Key]) -> bool:
        """Have the fold recall what the stored runs say of `keys`; the first stays the longest.

        False if runs it relies on are gone. Raises what the server says.
        """
        wanted = list(keys)
        for _ in range(KEEP_TRIES):
            place = fold.past.place
            try:
                facts = await self._find(agent, fold.past, wanted)
            except (_GoneError, InvalidMessage):  # removed by whoever merged them, or damaged
                if not await self.bring_up(agent, fold):
                    return False
                continue
            if fold.past.place == place:
                for key in reversed(wanted):
                    fold.past.recall(key, facts.get(key))
                return True
        return False

    async def _find(self, agent: AgentId, known: Past, keys: list[Key]) -> dict[Key, Fact]:
        pages: dict[tuple[str, int], tuple[SortedRun, list[Key]]] = {}
        for run in known.runs:
            if run.pages is None:
                for key in keys:
                    number = run.page_of(key)
                    if number >= 0:
                        pages.setdefault((run.name, number), (run, []))[1].append(key)
        reached("what left an agent's memory is looked up")
        places = list(pages)
        read = await asyncio.gather(*(self._page(agent, pages[p][0], p[1]) for p in places))
        facts: dict[Key, Fact] = {}
        for place, page in zip(places, read, strict=True):
            for key in pages[place][1]:
                said = joined(facts.get(key), find(page, key))
                if said is not None:
                    facts[key] = said
        return facts


def to_merge(runs: list[SortedRun]) -> list[SortedRun]:
    """Which runs become one: all in memory alone, and those stored of which there are too many.

    So there are at most `FANOUT` of each size, each some times larger than the one before, and a
    fact is written again as often as there are sizes.
    """
    merged = [run for run in runs if run.pages is not None]
    stored = [run for run in runs if run.pages is None]
    while True:
        size = _size(sum(run.count for run in merged))
        alike = [run for run in stored if _size(run.count) <= size]
        if len(alike) < FANOUT - 1:
            return merged
        merged += alike
        stored = [run for run in stored if run not in alike]


def _size(count: int) -> int:
    size, limit = 0, past.SPILL * FANOUT
    while count >= limit:
        size, limit = size + 1, limit * FANOUT
    return size
