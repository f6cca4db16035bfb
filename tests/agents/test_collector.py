"""How often Python's collector runs in a process with hosts."""

import gc
from collections.abc import Iterator

import pytest

from moonlet.agents import Host
from moonlet.agents.hosting.collector import DEFAULT, RARE
from moonlet.testing import MoonServer
from tests.agents.accounts import account_type


@pytest.fixture(autouse=True)
def by_default() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*DEFAULT)
    yield
    gc.set_threshold(*before)


async def test_hosts_have_it_collect_rarely_until_the_last_one_stops(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()]):
            async with Host(moon, [account_type("other")]):
                assert gc.get_threshold() == RARE
            assert gc.get_threshold() == RARE
        assert gc.get_threshold() == DEFAULT


async def test_a_host_leaves_it_alone_if_told_so(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()], collect_rarely=False):
            assert gc.get_threshold() == DEFAULT


async def test_thresholds_of_the_application_stay(moon_server: MoonServer) -> None:
    gc.set_threshold(5_000, 5, 5)
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()]):
            assert gc.get_threshold() == (5_000, 5, 5)
        assert gc.get_threshold() == (5_000, 5, 5)


async def test_thresholds_that_were_set_meanwhile_stay(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()]):
            gc.set_threshold(9_000, 10, 10)
        assert gc.get_threshold() == (9_000, 10, 10)
