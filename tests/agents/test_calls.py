"""How many calls a host runs at a time."""

import asyncio

import msgspec
import pytest

from moonlet.agents import AgentType, Decision, Host, Perform
from moonlet.agents.calls import call_runner
from moonlet.testing import MoonServer
from tests.faulty import until, until_true

MOST = 4


class Fetch(msgspec.Struct, frozen=True):
    """Ask for a page; `late`: it takes until the test lets it go."""

    late: bool = False


class Page(msgspec.Struct, frozen=True):
    """It came."""


class Pages(msgspec.Struct, frozen=True):
    """How many came."""

    count: int = 0


def reader_type(page: asyncio.Event, running: list[int]) -> AgentType[Pages]:
    """An agent that reads pages; `running` has how many are read, and how many at most were."""
    reader = AgentType("reader", Pages, partitions=1)

    @reader.on_command
    def fetch(state: Pages, command: Fetch) -> Decision:
        yield Perform(command)

    @reader.on_perform
    async def read(call: Fetch) -> Page:
        running[0] += 1
        running[1] = max(running)
        if call.late:
            await page.wait()
        running[0] -= 1
        return Page()

    @reader.on_command
    def came(state: Pages, command: Page) -> Decision:
        yield Page()

    @reader.on_event
    def counted(state: Pages, event: Page) -> Pages:
        return Pages(state.count + 1)

    return reader


async def test_a_host_runs_no_more_calls_at_a_time_than_its_limit(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_runner, "CALLS_MAX", MOST)
    page, running = asyncio.Event(), [0, 0]
    reader = reader_type(page, running)

    async with moon_server.connect(agents=[reader]) as moon, Host(moon, [reader]):

        async def came(count: int) -> None:
            async def all_did() -> bool:
                state = await moon.state("reader/a")
                return state is not None and state.count >= count

            await until_true(all_did)

        for count in range(1, 9):  # each that ends makes room, and so asks for more
            await moon.tell("reader/a", Fetch())
            await came(count)
        for _ in range(10 * MOST):
            await moon.tell("reader/a", Fetch(late=True))
        await until(lambda: running[0] >= MOST)
        await asyncio.sleep(0.3)  # sleeps: what comes too much comes at once
        page.set()
        await came(8 + 10 * MOST)
        assert running == [0, MOST]
