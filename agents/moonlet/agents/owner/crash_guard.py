"""How a suspicious owner goes on: one command at a time, each noted before it is decided.

A command that kills its process would else crash one host after the other. After a crash of a
partition's owner the next notes what it is about to decide; what two owners in a row noted and
died of is parked, and nothing else. Once is not enough: hosts are also killed by chance, and that
parked innocent commands (found by simulation).
"""

from typing import TYPE_CHECKING

from moonlet.agents.deciding.decide import QueuedCommand
from moonlet.core.errors import MoonletError
from moonlet.telemetry import get_logger

if TYPE_CHECKING:
    from moonlet.agents.live.live_agent import LiveAgent
    from moonlet.agents.owner.owned_partition import OwnedPartition

log = get_logger(__name__)

CALM_AFTER = 64
"""Commands decided without a crash after which the owner trusts the partition again."""

AGAIN = " again"
"""Stands behind the note of a command that the owner before had noted, too."""


class CrashGuard:
    """The turns of a suspicious partition's agents. One turn ends when its commit has landed."""

    def __init__(self, partition: "OwnedPartition") -> None:
        self._partition = partition
        self._waiting: dict[str, LiveAgent] = {}
        self._running = False
        self._decided = 0

    def enter(self, entity: "LiveAgent") -> None:
        """Line up for a turn."""
        self._waiting[entity.id.key] = entity
        if not self._running:
            self._running = True
            self._partition.spawn(self._run(), f"careful {self._partition.name}")

    async def _run(self) -> None:
        partition = self._partition
        while self._waiting:
            entity = self._waiting.pop(next(iter(self._waiting)))
            if not entity.ready:  # it reads its journal, or waits for room
                await partition.services.bus.backoff(1)
                if entity.queued:
                    self._waiting[entity.id.key] = entity
                continue
            item = entity.peek()
            if item is None:
                continue
            try:
                note = note_of(item)
                await partition.note(note + AGAIN if partition.noted == note else note)
            except MoonletError as error:
                log.info("a note can't be written", partition=partition.name, error=str(error))
                await partition.services.bus.backoff(3)
                self._waiting[entity.id.key] = entity
                continue
            if entity.decide_one():
                await partition.services.drain()
                self._decided += 1
            if entity.queued:
                self._waiting[entity.id.key] = entity
            if self._decided >= CALM_AFTER:
                break
        self._running = False
        if not self._waiting or self._decided >= CALM_AFTER:
            await partition.calm_down()
            for waiting in self._waiting.values():
                waiting.wake()


def note_of(item: QueuedCommand) -> str:
    """What names a delivery in a note: the stream and its sequence."""
    return f"{item.intake.stream}:{item.delivery.sequence}"
