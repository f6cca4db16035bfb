"""When a host reads the leases: at news, at silence, once a lease; never while all are heard of."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from moonlet.agents.placement.host_watch import LOOK_SECONDS, HostWatch
from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer
from moonlet.simulations.run import SimulationRun
from moonlet.streams import Bus, Leases, SystemClock, SystemEntropy, Topology

LEASE = 6  # seconds


class Watch:
    """A host `a` that knows of `b`, in virtual time."""

    def __init__(self, js: MemoryJetStream) -> None:
        bus = Bus(js, SystemClock(), SystemEntropy(), topology=Topology())
        self.leases = Leases(bus, LEASE)
        self.neighbours = HostWatch(self.leases, bus.clock)

    async def waits(self) -> float:
        """Seconds until it is time to look."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.neighbours.wait("a")
        return loop.time() - began


@asynccontextmanager
async def watch() -> AsyncIterator[Watch]:
    js = await MemoryJetStream.connect(MemoryServer())
    watching = Watch(js)
    await watching.neighbours.open()
    watching.neighbours.saw(["a", "b"])
    yield watching
    await watching.neighbours.close()
    await js.close()


async def silent() -> None:
    """Who was never heard of is looked after twice a second."""
    async with watch() as watching:
        assert await watching.waits() == pytest.approx(LOOK_SECONDS)


async def heard() -> None:
    """Who renews is trusted, and all is read once a lease all the same."""
    async with watch() as watching:

        async def renew() -> None:
            while True:
                watching.leases.tell("b")
                await asyncio.sleep(LEASE / 3)

        renewing = asyncio.create_task(renew())
        assert await watching.waits() == pytest.approx(LEASE, abs=LOOK_SECONDS)
        renewing.cancel()


async def fell_silent() -> None:
    """A lease that isn't renewed is looked after before it has run out."""
    async with watch() as watching:
        watching.leases.tell("b")
        waited = await watching.waits()
        assert LEASE / 2 < waited < LEASE - LOOK_SECONDS
        watching.neighbours.saw(["a", "b"])
        assert await watching.waits() == pytest.approx(LOOK_SECONDS)


async def news() -> None:
    """A stranger's sign of life, and a call to look, are answered at once."""
    async with watch() as watching:
        for told in ("c", ""):
            watching.leases.tell("b")
            await asyncio.sleep(0.1)
            watching.leases.tell(told)
            assert await watching.waits() < 0.05


async def unsettled() -> None:
    """What is not as it should be isn't left for a lease."""
    async with watch() as watching:
        watching.leases.tell("b")
        watching.neighbours.look_again()
        assert await watching.waits() == pytest.approx(LOOK_SECONDS)


async def alone() -> None:
    """A host without neighbours looks once a lease."""
    async with watch() as watching:
        watching.neighbours.saw(["a"])
        assert await watching.waits() == pytest.approx(LEASE, abs=LOOK_SECONDS)


@pytest.mark.parametrize("story", [silent, heard, fell_silent, news, unsettled, alone])
def test_a_host_looks_when_it_must(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await story()

    SimulationRun(1).run(main)
