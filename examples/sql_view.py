"""A view of all sales in SQLite, asked in plain SQL.

Shows a projection: events of many agents folded into fields, each a table of one file. `wait_for`
makes the reader see what the writer has caused. The file outlives the program, and can be opened
by anything that reads SQLite.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from moonlet.agents import AgentType, Decision, Host, connect
from moonlet.projections import At, Fields, LexCounter, LWWRegister, ORMap, Replica, View


class Sell(Struct, frozen=True):
    item: str
    price: int


class Sold(Struct, frozen=True):
    item: str
    price: int


class Shop(Struct, frozen=True):
    sales: int = 0


shop = AgentType("shop", Shop)
sales = View(
    "sales",
    version=1,
    taken=ORMap[LexCounter],  # by shop, added up
    sold=ORMap[LexCounter],  # by item, counted
    price=ORMap[LWWRegister],  # by item, the latest
)


@shop.on_command
def sell(state: Shop, command: Sell) -> Decision:
    yield Sold(command.item, command.price)


@shop.on_event
def counted(state: Shop, event: Sold) -> Shop:
    return Shop(state.sales + 1)


@sales.on_event
def noted(view: Fields, event: Sold, at: At) -> None:
    view.taken[at.agent.key].add(event.price)
    view.sold[event.item].add(1)
    view.price[event.item].set(event.price)


SQL = """
SELECT sold.key AS item, sold.value AS pieces, price.value AS price
FROM sold JOIN price ON price.key = sold.key
ORDER BY pieces DESC
"""


async def main(folder: Path) -> None:
    """Sell in two shops, then ask the view."""
    orders = (("north", "lamp", 40), ("south", "lamp", 45), ("south", "rug", 90))
    async with connect(folder=folder) as moon, Host(moon, [shop]):
        for key, item, price in orders:
            await moon.ask(f"shop/{key}", Sell(item, price))
        async with Replica(moon, sales, folder / "sales.db") as replica:
            await replica.wait_for(moon.token)
            print("taken:", replica.value["taken"])
            for row in replica.db.query(SQL):
                print(row)


if __name__ == "__main__":
    with TemporaryDirectory() as data:
        asyncio.run(main(Path(data)))
