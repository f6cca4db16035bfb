"""Two runs: their ids and times are no difference, and what parts them is found."""

import asyncio
from pathlib import Path

import msgspec

from moonlet.replay import BundleSource, compare
from moonlet.simulations.bundle import read_bundle
from tests.replay.conftest import bundle_of_a_day


async def test_a_run_is_like_itself_and_like_another_of_the_same(
    shop: BundleSource, tmp_path: Path
) -> None:
    assert await compare(shop, shop) == []
    again = BundleSource(await asyncio.to_thread(bundle_of_a_day, tmp_path), "again")
    assert await compare(shop, again) == []


async def test_the_first_divergence_of_each_agent_is_told_causes_first(shop: BundleSource) -> None:
    """Of the other run the history of order/b and all of the stock behind its first is cut off."""
    bundle = shop._bundle
    streams = []
    for held in bundle.streams:
        messages = [m for m in held.messages if not m.subject.endswith("evt.order.b")]
        if held.name.endswith("goods"):
            messages = messages[:1]
        streams.append(msgspec.structs.replace(held, messages=messages))
    other = BundleSource(msgspec.structs.replace(bundle, streams=streams), "other")
    found = {parted.agent: parted for parted in await compare(shop, other)}
    assert sorted(found) == ["order/b", "stock/tea"]
    assert found["order/b"].revision == 1 and found["order/b"].right is None
    assert found["stock/tea"].revision == 2 and found["stock/tea"].right is None
    assert [parted.agent for parted in await compare(other, shop)] == list(found)


def test_the_file_is_read_again(shop_file: Path) -> None:
    assert read_bundle(shop_file)[0].messages > 10
