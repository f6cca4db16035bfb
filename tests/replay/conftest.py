"""A day of the shop on a real server, and the bundle that was taken of it: once per worker."""

import asyncio
from pathlib import Path

import pytest

from moonlet.agents import Host, Rejected, connect
from moonlet.replay import BundleSource
from moonlet.simulations.bundle import Bundle, read_bundle, take_bundle, write_bundle
from moonlet.streams import Topology
from moonlet.streams.server.embedded import configuration
from moonlet.streams.server.server_process import ServerProcess, find_server
from tests.faulty import until_true
from tests.replay.shop import TYPES, Order, Place, Refill

DAY = Topology(prefix="shop", journals={"goods": ["stock"], "orders": ["order"]})


async def a_day(url: str) -> Bundle:
    """Two orders are paid, one is sold out, one card is stolen; two commands are refused."""
    async with connect(url, agents=TYPES, topology=DAY) as moon, Host(moon, TYPES):
        await moon.ask("stock/tea", Refill(5))
        for key, count, card in (("a", 2, "blue"), ("b", 4, "red"), ("c", 1, "stolen")):
            await moon.ask(f"order/{key}", Place("tea", count, card))

            async def done(key: str = key) -> bool:
                state = await moon.state(f"order/{key}")
                return isinstance(state, Order) and state.status in ("paid", "sold out", "overdue")

            await until_true(done)
        for agent, command in (("stock/tea", Refill(0)), ("order/a", Place("tea", 1, "blue"))):
            with pytest.raises(Rejected):
                await moon.ask(agent, command)
        return await take_bundle(moon.bus)


def bundle_of_a_day(folder: Path) -> Bundle:
    """The bundle of a day, on a server of its own."""
    server = ServerProcess(find_server(), folder, configuration(folder / "data", fsync=False))
    server.start()
    try:
        return asyncio.run(a_day(server.url))
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the shop's day, as a file."""
    folder = tmp_path_factory.mktemp("shop")
    write_bundle(folder / "day.moonlet", bundle_of_a_day(folder))
    return folder / "day.moonlet"


@pytest.fixture
def shop(shop_file: Path) -> BundleSource:
    """The shop's day as a source."""
    return BundleSource(read_bundle(shop_file)[0], shop_file.name)
