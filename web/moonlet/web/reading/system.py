"""What the console looks at: one system, on a server or in a bundle, and what is known of it."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from moonlet.agents import AgentType
from moonlet.core.errors import UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.projections import View
from moonlet.replay import (
    CommitPages,
    HistorySource,
    Keyframes,
    Lookup,
    MemoryKeyframes,
    Timeline,
)
from moonlet.streams import Bus
from moonlet.web.reading.hosts_seen import HostsSeen

if TYPE_CHECKING:
    from moonlet.replay.index import Index

TIMELINES_MAX: Final = 16
"""Histories that are kept open; the one used longest ago goes first."""

T = TypeVar("T")


class CommandLine(Protocol):
    """Writes the command that does what a page shows."""

    def __call__(self, *words: str, code: bool = False) -> str:
        """The line to type; `code`: it needs the agent types."""
        ...


class WebSystem(msgspec.Struct):
    """Given by whoever opened it, and closes it. `bus` is None of a bundle.

    `looking` opens what finds commits, `searching` the index, made if there is none; `pages` are
    the addresses of hosts' own pages, to be asked for metrics and alerts.
    """

    source: HistorySource
    bus: Bus | None
    types: Mapping[str, AgentType[Any]]
    views: Mapping[str, View]
    command: CommandLine
    looking: Callable[[], AbstractAsyncContextManager[Lookup]]
    searching: Callable[[], "AbstractAsyncContextManager[tuple[Index, int]]"]
    keyframes: Keyframes = msgspec.field(default_factory=MemoryKeyframes)
    pages: tuple[str, ...] = ()


class SystemReader:
    """Reads for requests. Folding is one at a time; a bundle's is done in a thread of its own."""

    def __init__(self, system: WebSystem) -> None:
        self.system = system
        self.source = system.source
        self.hosts = HostsSeen(system.bus) if system.bus is not None else None
        """Who came and went, while that is open."""
        self._lock = asyncio.Lock()
        self._index_lock = asyncio.Lock()
        self._pool = ThreadPoolExecutor(1, "folding") if system.bus is None else None
        self._timelines: OrderedDict[AgentId, Timeline] = OrderedDict()
        self._pages: OrderedDict[AgentId, CommitPages] = OrderedDict()

    def code_of(self, agent: AgentId) -> AgentType[Any]:
        """The agent's type; raises `UnknownAgentType` that says where to look."""
        found = self.system.types.get(agent.type)
        if found is None:
            raise UnknownAgentType(
                f"the code of agent type {agent.type} is not known here, so its states can't be"
                " shown: start the console with --module MODULE[:NAME]"
            )
        return found

    async def fold(self, reading: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have it done after what was begun before."""
        async with self._lock:
            if self._pool is None:
                return await reading()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, lambda: asyncio.run(reading()))

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Lookup]:
        """What finds commits, brought up to date; for one request at a time."""
        async with self._index_lock, self.system.looking() as lookup:
            yield lookup

    @asynccontextmanager
    async def searching(self) -> "AsyncIterator[Index]":
        """The index, brought up to date; for one request at a time."""
        async with self._index_lock, self.system.searching() as (index, _):
            yield index

    async def timeline(self, agent: AgentId) -> Timeline:
        """The agent's history as of now; call it inside `fold`."""
        code = self.code_of(agent)
        now = await Timeline.open(self.source, code, agent, self.system.keyframes)
        known = self._timelines.pop(agent, None)
        kept = known if known is not None and known.last == now.last else now
        self._timelines[agent] = kept
        while len(self._timelines) > TIMELINES_MAX:
            self._timelines.popitem(last=False)
        return kept

    async def commits(self, agent: AgentId) -> CommitPages:
        """The agent's commits as of now."""
        now = await CommitPages.open(self.source, agent)
        known = self._pages.pop(agent, None)
        kept = known if known is not None and known.last == now.last else now
        self._pages[agent] = kept
        while len(self._pages) > TIMELINES_MAX:
            self._pages.popitem(last=False)
        return kept

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
