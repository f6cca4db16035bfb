"""Worlds in which clients and agents publish, and subscribers that come and go listen."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from moonlet.agents import AgentType, Client, Decision, Publish
from moonlet.core.errors import LimitExceeded, MoonletError
from moonlet.simulations import Scenario, World, faults
from moonlet.simulations.seed import Dice

ROUNDS = 12
NAMES = ("alone", "shared")


class Say(msgspec.Struct, frozen=True):
    """Publish a word."""

    word: int


class Said(msgspec.Struct, frozen=True):
    """It was published."""

    word: int


class Speaker(msgspec.Struct, frozen=True):
    """What was said."""

    words: tuple[int, ...] = ()


speaker = AgentType("speaker", Speaker, partitions=1)


@speaker.on_command
def say(state: Speaker, command: Say) -> Decision:
    """By the agent, after its commit."""
    yield Said(command.word)
    yield Publish("words.agents", {"word": command.word})


@speaker.on_event
def said(state: Speaker, event: Said) -> Speaker:
    """It counts."""
    return Speaker((*state.words, event.word))


async def speak(moon: Client, dice: Dice, stored: set[int]) -> None:
    """Words by agents and by the client itself; `stored` are those of which that is known."""
    for word in range(ROUNDS):
        try:
            if dice.below(2):
                await moon.tell(f"speaker/s{dice.below(2)}", Say(word), timeout=60)
            else:
                await moon.publish("words.clients", {"word": word}, timeout=60)
            stored.add(word)
        except MoonletError:
            pass  # it may be there, and need not
        await asyncio.sleep(dice.between(10, 400) / 1_000)


async def listen(
    moon: Client, dice: Dice, options: dict[str, Any], heard: set[int], more: asyncio.Event
) -> None:
    """Listen for ever: some messages are left, some handed back, now and then it begins anew."""
    while True:
        subscription = moon.subscribe(
            "words.*", from_="all", prefetch=dice.between(1, 4), again_after=2, **options
        )
        try:
            async with subscription:
                for _ in range(dice.between(1, 12)):
                    message = await anext(subscription)
                    match dice.below(8):
                        case 0:
                            pass
                        case 1:
                            message.again(dice.between(0, 500) / 1_000)
                        case _:
                            heard.add(message.body["word"])
                            more.set()
                            message.acknowledge()
        except MoonletError:
            await asyncio.sleep(0.2)


async def body(world: World) -> None:
    """What is known to be stored is heard by each position, however its listeners fare."""
    dice = world.seed.dice("listeners")
    stored: set[int] = set()
    heard: dict[str, set[int]] = {name: set() for name in NAMES}
    more = asyncio.Event()
    async with world.client() as moon, world.client() as other:
        listening = [
            asyncio.ensure_future(listen(client, dice, {kind: name}, heard[name], more))
            for client, kind, name in (
                (moon, "durable", "alone"),
                (moon, "group", "shared"),
                (other, "group", "shared"),
            )
        ]
        await speak(moon, dice, stored)
        await world.settle()
        try:
            async with asyncio.timeout(300):
                while not all(stored <= words for words in heard.values()):
                    more.clear()
                    await more.wait()
        except TimeoutError:
            missing = {name: sorted(stored - words) for name, words in heard.items()}
            raise AssertionError(f"never heard: {missing}") from None
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)


listeners = Scenario(
    name=f"{__name__}:listeners",
    body=body,
    agents=(speaker,),
    faults=faults.all(),
    horizon="6s",
)


async def left_behind(world: World) -> None:
    """Who acknowledges nothing is told, or has it again; what was removed meanwhile is counted."""
    async with world.client() as moon:
        await moon.tell("speaker/s0", Say(0), timeout=60)
        await world.settle()
        for word in range(1, 5):
            await moon.publish("words.clients", {"word": word})
        options: dict[str, Any] = {"durable": "slow", "from_": "all", "again_after": 2}
        async with moon.subscribe("words.*", prefetch=1, **options) as listening:
            left = await anext(listening)
            try:
                await anext(listening)
            except LimitExceeded as full:
                assert (full.limit, full.value) == (1, 1)
            else:
                raise AssertionError("more came than was asked for")
            heard = {}
            while left.sequence not in heard:  # new ones may come before it
                message = await anext(listening)
                heard[message.sequence] = message.attempt
                message.acknowledge()
            assert heard[left.sequence] == left.attempt + 1
        for word in range(5, 9):
            await moon.publish("words.clients", {"word": word})
        async with moon.subscribe("words.*", prefetch=16, **options) as listening:
            held = [await anext(listening) for _ in range(3)]
            await world.advance("5s")
            heard = {}
            while not heard.keys() >= {message.sequence for message in held}:
                message = await anext(listening)
                heard[message.sequence] = message.attempt
                message.acknowledge()
            assert all(heard[message.sequence] > message.attempt for message in held)
        await world.settle()
        stream = await moon.bus._js.stream_info(moon.bus.topology.stream("topics"))
        assert stream is not None
        await moon.bus._js.update_stream({**stream["config"], "max_msgs": 1})
        for word in range(9, 12):
            await moon.publish("words.clients", {"word": word})
        async with moon.subscribe("words.*", **options) as listening:
            assert listening.missed == 2
