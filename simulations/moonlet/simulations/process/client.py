"""A client's place in a world, and the patience of its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Final

from moonlet.agents import Client
from moonlet.core.commit import Commit
from moonlet.core.errors import LimitExceeded, PayloadTooLarge, Unavailable
from moonlet.core.ids import AgentId
from moonlet.simulations.process.process import SimProcess
from moonlet.simulations.process.surroundings import ReadsJudge
from moonlet.streams import Bus

CONNECT_AGAIN: Final = 0.5
"""Seconds until a client that reaches no server tries again."""


class PatientClient(Client):
    """The client of `connect()`, whose calls wait by default as long as a world may take to heal.

    With 5 s, as real clients have, each test would have to handle `Unknown` while faults last;
    and a mailbox or server that is full, and `Unavailable`, which here lead to another try.
    """

    def __init__(
        self,
        open_bus: Callable[[], Awaitable[Bus]],
        *,
        patience: float,
        reads: ReadsJudge,
        agents: Any = (),
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(open_bus, agents=agents, close=close)
        self._patience = patience
        self._reads = reads

    async def __aenter__(self) -> Client:
        while True:
            try:
                return await super().__aenter__()
            except Unavailable:
                await asyncio.sleep(CONNECT_AGAIN)

    async def tell(self, agent: str, command: Any, **options: Any) -> Any:
        """See `Client.tell`."""
        return await self._patiently(super().tell, agent, command, options)

    async def ask(self, agent: str, command: Any, **options: Any) -> Any:
        """See `Client.ask`."""
        return await self._patiently(super().ask, agent, command, options)

    async def query(self, agent: str, query: Any, **options: Any) -> Any:
        """See `Client.query`."""
        return await self._patiently(super().query, agent, query, options)

    async def history(
        self,
        agent: str,
        from_: int = 1,
        to: int | None = None,
        follow: bool = False,
        *,
        timeout: float | timedelta | None = None,
    ) -> AsyncGenerator[Commit[Any], None]:
        """See `Client.history`; it goes on behind the last commit that came."""
        until = self.bus.clock.monotonic() + self._patience
        attempt = 0
        stream = self.bus.topology.journal_of(AgentId.parse(agent).type)
        had = self._reads.begins(agent, self._seen.get(stream, 0))
        while True:
            attempt += 1
            try:
                commits = super().history(agent, from_, to, follow, timeout=timeout)
                async with aclosing(commits) as each:
                    async for commit in each:
                        self._reads.came(agent, from_, commit.revision)
                        from_ = commit.revision + 1
                        yield commit
                self._reads.ended(agent, from_ - 1, had, to)
                return
            except Unavailable:
                if to is not None and from_ > to:
                    return
                if timeout is not None or self.bus.clock.monotonic() >= until:
                    raise
            await self.bus.backoff(attempt)

    async def state(
        self,
        agent: str,
        revision: int | None = None,
        *,
        time: datetime | None = None,
        timeout: float | timedelta | None = None,
    ) -> Any:
        """See `Client.state`."""
        until = self.bus.clock.monotonic() + self._patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return await super().state(agent, revision, time=time, timeout=timeout)
            except Unavailable:
                if timeout is not None or self.bus.clock.monotonic() >= until:
                    raise
            await self.bus.backoff(attempt)

    async def _patiently(
        self, call: Callable[..., Awaitable[Any]], agent: str, message: Any, options: dict[str, Any]
    ) -> Any:
        if "timeout" in options:
            return await call(agent, message, **options)
        clock = self.bus.clock
        until = clock.monotonic() + self._patience
        attempt = 0
        while True:
            attempt += 1
            left = max(1.0, until - clock.monotonic())
            try:
                return await call(agent, message, timeout=left, **options)
            except (LimitExceeded, Unavailable) as error:
                if isinstance(error, PayloadTooLarge) or clock.monotonic() >= until:
                    raise
            await self.bus.backoff(attempt)


class SimClient(SimProcess):
    """A client's place in the world: its code is the test's own, so it can't crash."""

    def client(self) -> Client:
        """The client; as that of `connect()`, but patient."""
        return PatientClient(
            self.open_bus,
            agents=self._around.agents,
            close=self.close,
            patience=self._around.patience,
            reads=self._around.reads,
        )
