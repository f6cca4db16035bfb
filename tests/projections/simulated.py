"""Replicas as processes of a simulated world, and what happens to them there."""

import asyncio
from pathlib import Path
from typing import Any

from moonlet.core.errors import MoonletError
from moonlet.core.frontier import Frontier
from moonlet.projections import Replica, View
from moonlet.projections.files.memory_disk import MemoryDisk, StoredFile
from moonlet.simulations import Dice, World
from moonlet.simulations.process import SimProcess
from tests.replica_process import ledger

FINAL_SECONDS = 60.0


class ReplicaNode(SimProcess):
    """A process that holds a replica, under a supervisor that starts it again."""

    def __init__(self, world: World, name: str, disk: MemoryDisk, view: View = ledger) -> None:
        super().__init__(world.around, name)
        self.world = world
        self.path = Path(f"{name}.db")
        self.disk = disk
        self.view = view
        self.replica: Replica | None = None
        self.seen = Frontier()
        self.backups: list[StoredFile] = []
        # So that the world's verbs for the network find it.
        world.clients[name] = self  # type: ignore[assignment]

    def boot(self) -> None:
        self.replica = None
        self.node.spawn(self._main(), name=f"replica {self.name}")

    async def _main(self) -> None:
        while True:
            try:
                async with (
                    self.client() as moon,
                    Replica(moon, self.view, self.path, disk=self.disk) as replica,
                ):
                    self.replica = replica
                    while replica.failure is None:
                        await asyncio.sleep(0.1)
                        self._check(replica)
                    raise replica.failure
            except MoonletError as error:
                self.world.note("replica", self.name, type(error).__name__, str(error))
                self.replica = None
                await self.close()
            await asyncio.sleep(0.5)  # sleeps: time is virtual here

    def _check(self, replica: Replica) -> None:
        """What holds at any moment of one life."""
        if replica.failure is None:
            assert replica.frontier.covers(self.seen), "the frontier went back"
            assert replica.frontier.covers(replica.durable)
            self.seen = replica.frontier

    # what happens to it

    def crash(self) -> None:
        """SIGKILL: what was not committed is gone."""
        if self.node.up:
            self.world.note("crash", self.name)
            self.node.crash()
            self.replica = None
            self.seen = Frontier()
            if self.connection is not None:
                self.world.forget(self.connection.name)

    def restart(self) -> None:
        if not self.node.up:
            self.world.note("restart", self.name)
            self.node.restart()
            self.boot()

    def back_up(self) -> None:
        """Keep a copy of the file as it is."""
        stored = self.disk.files.get(self.path)
        if stored is not None:
            self.backups.append(stored)

    def restore(self, dice: Dice) -> None:
        """The process is down, and its file is an older one of its own, or gone."""
        assert not self.node.up
        if self.backups and dice.below(4):
            self.disk.put_back(self.path, self.backups[dice.below(len(self.backups))])
        else:
            self.disk.remove(self.path)


async def torment(world: World, nodes: list[ReplicaNode], dice: Dice, until: float) -> None:
    """Crash, pause, cut off, restore: one replica after the other, at times drawn by `dice`."""
    while world.now < until:
        await asyncio.sleep(dice.between(100, 900) / 1_000)
        node = nodes[dice.below(len(nodes))]
        lasts = dice.between(200, 4_000) / 1_000
        what = dice.below(8)
        if what == 0:
            node.back_up()
        elif what in (1, 2):
            node.crash()
            if dice.below(3) == 0:
                node.restore(dice)
            asyncio.get_running_loop().call_later(lasts, node.restart)
        elif what == 3 and node.node.up:
            node.node.pause()
            asyncio.get_running_loop().call_later(lasts, _resume, node)
        elif what in (4, 5):
            world.partition(node.name, ("both", "in", "out")[dice.below(3)], lasts)
        elif what == 6:
            world.cut(node.name)
        else:
            world.hold(node.name, lasts)


def _resume(node: ReplicaNode) -> None:
    if node.node.up and node.node.life.paused:
        node.node.resume()


async def settled(world: World, nodes: list[ReplicaNode], moon: Any) -> list[Replica]:
    """All replicas, up and at the journals' ends."""
    for node in nodes:
        _resume(node)
        node.restart()
    ends: dict[str, int] = {}
    for name in world.topology.journal_streams:
        info = await moon.bus._js.stream_info(name)
        assert info is not None
        ends[name] = info["state"]["last_seq"]

    def there() -> bool:
        return all(
            node.replica is not None
            and node.replica.failure is None
            and node.replica.frontier == Frontier(ends)
            for node in nodes
        )

    await world.until(there, f"{FINAL_SECONDS}s", "every replica is at the journals' ends")
    return [node.replica for node in nodes if node.replica is not None]
