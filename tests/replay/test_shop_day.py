"""What the tests travel in is what it is said to be."""

from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, fold_at
from tests.replay.shop import order, stock


async def test_the_day_is_as_it_was_told(shop: BundleSource) -> None:
    assert {str(agent) for agent in await shop.agents()} == {
        "order/a", "order/b", "order/c", "stock/tea",
    }  # fmt: skip
    ends = {}
    for key in "abc":
        ends[key] = (await fold_at(shop, order, AgentId("order", key))).state.status
    assert ends == {"a": "paid", "b": "sold out", "c": "overdue"}
    assert (await fold_at(shop, stock, AgentId("stock", "tea"))).state.free == 2
    assert len(await shop.journals()) == 2
