"""What a host does about streams that others delete, make anew or restore while it runs.

Queues, snapshots and buckets that are gone are made again. A journal is held against what was known
of it: one that went back stops its agents, and lets them go on once an operator accepted the loss.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.streams import restore_streams
from moonlet.telemetry import get_logger

log = get_logger(__name__)

LOOK_SECONDS: Final = 2.0
"""Between two looks at the streams: what is deleted is made again within 5 s."""


MISSED_SECONDS: Final = 0.1
"""Until a look when a stream was missed: others miss it as well, and somebody makes it."""


class Watched(Protocol):
    """An owned partition, as far as its journal is watched."""

    journal_stream: str

    @property
    def stopped_agents(self) -> list[AgentId]:
        """Those that an operator stopped."""
        ...

    def note_end(self) -> None:
        """Tell how far its commits went."""
        ...

    def journal_went_back(self) -> None:
        """Have every agent read its journal before it decides anything."""
        ...

    def journal_is_back(self) -> None:
        """Let agents go on that stopped because the journal was not what it was."""
        ...


class StreamWatch:
    """One host's. `partitions` are those owned now, `look_again` has the leases read soon."""

    def __init__(
        self,
        services: HostServices,
        partitions: Callable[[], Sequence[Watched]],
        look_again: Callable[[], None],
    ) -> None:
        self._services = services
        self._partitions = partitions
        self._look_again = look_again
        self._types: dict[str, set[str]] = {}
        self._missed = asyncio.Event()
        services.ends.ask = self._note_ends

    def _note_ends(self) -> None:
        for partition in self._partitions():
            partition.note_end()

    async def learn(self, types: Sequence[str]) -> None:
        """Hold the journals of these types against what was known of them; a fault is an alarm."""
        journal_of = self._services.bus.topology.journal_of
        for name in types:
            self._types.setdefault(journal_of(name), set()).add(name)
        for stream, names in sorted(self._types.items()):
            self._tell(stream, await self._services.ends.learn(stream, sorted(names)))

    def look_soon(self) -> None:
        """A stream was missed: don't wait."""
        self._missed.set()

    async def watch_for_ever(self) -> None:
        """Look at the streams again and again."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._missed.wait()
                    await asyncio.sleep(MISSED_SECONDS)
            self._missed.clear()
            try:
                await self.look()
            except MoonletError as error:
                log.info("the streams can't be looked at", error=str(error))

    async def look(self) -> None:
        """One look, and what follows. Raises what the server says; the rest is left to the next."""
        await self._restore()
        for stream in sorted(self._types):
            await self._judge(stream)
        await self._services.ends.write_marks()

    async def leave(self) -> None:
        """Store how far the journals went, for who comes after."""
        self._note_ends()
        await self._services.ends.write_marks()

    async def _restore(self) -> None:
        services = self._services
        topology = services.bus.topology
        made = await restore_streams(services.bus)
        if not made:
            return
        reached("a stream that was deleted is made again")
        for stream in made:
            services.alarm("a stream was deleted, and is made again", stream=stream)
        if topology.bucket("config") in made:
            services.ends.forget_written()
        if topology.bucket("registry") in made:
            await services.registry.store_again()
            for partition in self._partitions():
                for agent in partition.stopped_agents:
                    await services.registry.mark_stopped(agent, True)
        self._look_again()

    async def _judge(self, stream: str) -> None:
        ends = self._services.ends
        self._tell(stream, await ends.judge(stream))
        is_back = stream in ends.back  # whoever found it
        ends.back.discard(stream)
        for partition in self._partitions():  # those too that were taken meanwhile
            if partition.journal_stream != stream:
                continue
            if stream in ends.corrupt:
                partition.journal_went_back()
            elif is_back:
                partition.journal_is_back()

    def _tell(self, stream: str, fault: str) -> None:
        if fault:
            self._services.alarm("a journal is not what it was", stream=stream, why=fault)
