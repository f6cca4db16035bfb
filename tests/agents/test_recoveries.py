"""Recoveries take turns: so many at once, the most urgent first."""

import asyncio
from collections.abc import Callable

import pytest

from moonlet.agents.recovery.turns import Turns


class Visitors:
    """Tasks that have a turn until they are told to leave it."""

    def __init__(self, limit: int) -> None:
        self.turns = Turns(limit)
        self.order: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.at_once: dict[str, Callable[[], object]] = {}

    async def come(self, name: str, urgency: int) -> None:
        self.leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name, urgency))
        await settled()

    async def _visit(self, name: str, urgency: int) -> None:
        async with self.turns.turn(urgency):
            self.order.append(name)
            await self.leave[name].wait()
        self.at_once.get(name, lambda: None)()  # whose turn it is now has not gone on yet

    async def go(self, name: str) -> None:
        self.leave[name].set()
        await self.tasks[name]
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_have_a_turn_and_the_most_urgent_is_next() -> None:
    visitors = Visitors(2)
    for name, urgency in (("a", 3), ("b", 3), ("low", 3), ("old", 2), ("new", 2), ("top", 0)):
        await visitors.come(name, urgency)
    assert visitors.order == ["a", "b"]
    for name in ("a", "b", "top", "old"):
        await visitors.go(name)
    assert visitors.order == ["a", "b", "top", "old", "new", "low"]


async def test_a_turn_is_free_again_whatever_ended_it() -> None:
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="mine"):
            async with turns.turn(0):
                raise ValueError("mine")


async def test_who_gives_up_waiting_holds_nobody_up_even_in_the_moment_of_its_turn() -> None:
    visitors = Visitors(1)
    for name in ("a", "b", "c", "d"):
        await visitors.come(name, 1)
    visitors.tasks["b"].cancel()
    await settled()
    visitors.at_once["a"] = visitors.tasks["c"].cancel
    await visitors.go("a")
    assert visitors.order == ["a", "d"]
    await visitors.go("d")
    assert not visitors.turns.busy
