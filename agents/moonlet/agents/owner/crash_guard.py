"""How a suspicious owner goes on: one command at a time, each noted before it is decided.

A command that kills its process would else crash one host after the other. After a crash of a
partition's owner the next notes what it is about to decide; what two owners in a row noted and
died of is parked, and nothing else. Once is not enough: hosts are also killed by chance, and that
parked innocent commands (found by simulation).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from moonlet.agents.live import LiveAgent
from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError
from moonlet.telemetry import get_logger

log = get_logger(__name__)

CALM_AFTER: Final = 64
"""Commands decided without a crash after which the owner trusts the partition again."""

AGAIN: Final = " again"
"""Stands behind the note of a command that the owner before had noted, too."""


class Notebook(Protocol):
    """Where notes are written: the partition's record."""

    @property
    def name(self) -> str:
        """The partition."""
        ...

    async def is_run_elsewhere(self, agent: LiveAgent) -> bool:
        """Whether another host is blocked by it, and it has to wait. Raises `Unavailable`."""
        ...

    async def note(self, what: str) -> None:
        """Write down what is about to be decided; raises `Conflict` if the partition is lost."""
        ...

    async def calm_down(self) -> None:
        """Nothing crashed: trust the partition again."""
        ...


class CrashGuard:
    """The turns of a suspicious partition's agents. One turn ends when its commit has landed.

    `noted` is the note that the owner before left behind.
    """

    def __init__(
        self,
        notebook: Notebook,
        noted: str,
        services: HostServices,
        spawn: Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"],
    ) -> None:
        self._notebook = notebook
        self._noted = noted
        self._services = services
        self._spawn = spawn
        self._waiting: dict[str, LiveAgent] = {}
        self._running = False
        self._decided = 0

    def enter(self, agent: LiveAgent) -> None:
        """Line up for a turn."""
        self._waiting[agent.id.key] = agent
        if not self._running:
            self._running = True
            self._spawn(self._run(), f"guard {self._notebook.name}")

    async def _run(self) -> None:
        notebook, services = self._notebook, self._services
        while self._waiting:
            agent = self._waiting.pop(next(iter(self._waiting)))
            if not agent.ready:  # it reads its journal, or waits for room
                await services.bus.backoff(1)
                if agent.queued:
                    self._waiting[agent.id.key] = agent
                continue
            queued = agent.peek()
            if queued is None:
                continue
            try:
                if await notebook.is_run_elsewhere(agent):
                    continue
                place = queued.place
                await notebook.note(place + AGAIN if self._noted == place else place)
            except MoonletError as error:
                log.info("a note can't be written", partition=notebook.name, error=str(error))
                await services.bus.backoff(3)
                self._waiting[agent.id.key] = agent
                continue
            if agent.decide_one():
                await services.drain()
                self._decided += 1
            if agent.queued:
                self._waiting[agent.id.key] = agent
            if self._decided >= CALM_AFTER:
                break
        self._running = False
        if not self._waiting or self._decided >= CALM_AFTER:
            await notebook.calm_down()
            for waiting in self._waiting.values():
                waiting.wake()


def fatal_place(note: str) -> str:
    """The place of the command that two owners in a row noted and died of; '' if there is none."""
    return note.removesuffix(AGAIN) if note.endswith(AGAIN) else ""
