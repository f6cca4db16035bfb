"""The first hours of the night on a real server; the hours after it in worlds, under all faults."""

import asyncio
from pathlib import Path

import pytest

from moonlet.agents import Host, connect
from moonlet.satellites import SATELLITES, TOPOLOGY
from moonlet.satellites.night import depeg, drive, report
from moonlet.simulations import World, faults, simulate
from moonlet.simulations.bundle import take_bundle, write_bundle
from moonlet.streams.server.server_process import ServerProcess

HOURS = depeg()[:6]
LATER = depeg()[:12]
SEEDS = 4


async def first_hours(url: str, path: Path) -> int:
    """Drive the satellites on a real server, take its history; how many commits it holds."""
    async with connect(url, topology=TOPOLOGY) as moon:
        async with Host(moon, list(SATELLITES)):
            done = await drive(moon, HOURS, speed=6.0)
        write_bundle(path, await take_bundle(moon.bus))
    return sum(map(len, done.commits.values()))


@pytest.mark.timeout(240)
def test_the_night_goes_on_in_simulation_where_a_real_server_stood(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    path = tmp_path / "night.bundle"
    before = asyncio.run(first_hours(own_server.url, path))

    @simulate(
        seeds=SEEDS, agents=SATELLITES, faults=faults.all(), horizon="6s", history=path, hosts=2
    )
    async def later(world: World) -> None:
        assert world.chronicle.commits >= before
        async with world.client() as moon:
            done = await drive(moon, LATER, speed=4.0)
        await world.settle()
        assert (done.first_tick, done.ticks) == (len(HOURS) + 1, len(LATER) - len(HOURS))
        assert sum(map(len, done.commits.values())) > before
        told = report(done.commits, done.sent)
        assert told.audit.lost == told.audit.doubled == told.audit.strays == ()
        assert told.ledger.balance == told.ledger.unbalanced == 0

    later()
