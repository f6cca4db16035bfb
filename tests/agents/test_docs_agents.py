"""The agents of docs/agents.md do what the page says."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from moonlet.agents import Client, Host
from moonlet.testing import MoonServer
from tests.faulty import until_true
from tests.tools import markdown, tree
from tests.tools.markdown_types import named


@pytest.fixture(params=["orders", "quotes"])
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the page, as if it were a file."""
    path = tree.ROOT / "docs" / "agents.md"
    page = markdown.parse(Path("docs/agents.md"), path.read_text(encoding="utf-8"))
    made = ModuleType(request.param)
    monkeypatch.setitem(sys.modules, request.param, made)
    exec(compile(named((page,))[f"{request.param}.py"], path, "exec"), made.__dict__)
    return made


async def test_the_pages_agents_run(module: ModuleType, moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        await (orders if module.__name__ == "orders" else quotes)(module, moon)


async def orders(module: ModuleType, moon: Client) -> None:
    async with Host(moon, [module.orders]):
        await moon.ask("orders/main", module.Order("pen", 3))
        assert (await moon.state("orders/main")).total == 3
        event = module.orders.behavior.events["Ordered"].message.convert({"item": "pen"}, 1)
        assert event == module.Ordered("pen", 1)


async def quotes(module: ModuleType, moon: Client) -> None:
    async with Host(moon, [module.buyer, module.shop]):
        await moon.ask("buyer/ann", module.Buy("pencil"))

        async def answered() -> bool:
            return bool((await moon.state("buyer/ann")).spent == 6)

        await until_true(answered)
        assert (await moon.state("buyer/ann")).wanted == ()
