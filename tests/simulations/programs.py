"""Programs for the simulator's own tests, run in this process and in others."""

import asyncio
import random
import uuid
from asyncio import sleep
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from moonlet.simulations.loop import SimLoop, current_node
from moonlet.simulations.run import SimulationRun
from moonlet.simulations.seed import Dice, Seed
from moonlet.simulations.trace import Trace

MS = 1_000_000


def this_loop() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


def note(kind: str, *fields: str | int | bytes) -> None:
    """An event of the current node."""
    loop, node = this_loop(), current_node()
    loop.trace.event(loop.now_ns, "" if node is None else node.name, kind, *fields)


def run(
    main: Callable[[], Awaitable[Any]], seed: int = 1, trace: Trace | None = None, **options: Any
) -> Any:
    """Run one program on a loop of its own; its result."""

    async def driver() -> Any:
        return await main()

    return SimulationRun(seed, trace=trace, **options).run(driver)


async def in_a_set(dice: Dice) -> None:
    """Sets of tasks and of futures: `wait`, `as_completed`, `gather` in a `wait`."""

    async def one(number: int) -> int:
        await sleep(0.5 if number % 3 else dice.below(3) / 10)
        return number

    done, _ = await asyncio.wait({asyncio.create_task(one(number)) for number in range(12)})
    note("wait", *[task.result() for task in done])
    for coming in asyncio.as_completed({asyncio.create_task(one(number)) for number in range(9)}):
        note("as_completed", await coming)
    groups = [asyncio.gather(one(number), one(-number)) for number in range(12)]
    done_groups, _ = await asyncio.wait(groups)
    note("gathered", *[group.result()[0] for group in done_groups])
    futures: list[asyncio.Future[int]] = [asyncio.Future() for _ in range(12)]
    for place, future in enumerate(futures):
        future.set_result(place)
    note("futures", *[future.result() for future in set(futures)])


async def in_an_aborting_group(dice: Dice) -> None:
    """A TaskGroup that cancels its set of tasks, and `all_tasks`."""

    async def waiter(number: int) -> None:
        try:
            await sleep(10)
        finally:
            note("aborted", number)

    async def failing() -> None:
        await sleep(dice.between(1, 9) / 10)
        raise ValueError("enough")

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(waiter(number))
            group.create_task(failing())
            await sleep(0.05)
            note("all tasks", *[task.get_name() for task in asyncio.all_tasks()])
    except* ValueError:
        note("group is over")


async def in_generators(dice: Dice) -> None:
    """Async generators that are abandoned and shut down."""

    async def count(name: int) -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
                await sleep(0.01)
        finally:
            note("closed", name)

    kept = [count(name) for name in range(8)]
    for agen in dice.shuffled(kept):
        await anext(agen)
    async for number in count(99):
        if number == dice.between(1, 5):
            break
    await this_loop().shutdown_asyncgens()


async def in_a_cluster(dice: Dice) -> None:
    """Three nodes that send each other messages, one of which crashes, pauses and is slow."""
    loop = this_loop()
    inboxes: dict[str, asyncio.Queue[bytes]] = {}

    async def serve(name: str) -> None:
        inbox = inboxes[name] = asyncio.Queue()
        while True:
            body = await inbox.get()
            note("got", body, uuid.uuid4().hex, random.randrange(1000))
            if body[0]:
                other = dice.pick(sorted(inboxes))
                later = loop.now_ns + dice.between(1, 50) * MS
                sent = bytes([body[0] - 1]) + dice.octets(3)
                loop.call_at_ns(later, inboxes[other].put_nowait, sent, context=loop.outside)

    nodes = [loop.node(name) for name in ("h1", "h2", "h3")]
    for node in nodes:
        node.spawn(serve(node.name))
    await sleep(0.01)
    for name in list(inboxes):
        inboxes[name].put_nowait(bytes([20]))
    victim = dice.pick(nodes)
    await sleep(dice.between(1, 200) / 1000)
    victim.crash()
    await sleep(0.1)
    victim.restart()
    victim.spawn(serve(victim.name))
    nodes[0].pause()
    nodes[1].slow(MS)
    await sleep(0.1)
    nodes[0].resume()
    nodes[1].slow(0)
    nodes[2].drift(dice.between(-200, 200))
    await sleep(1)


async def in_threads(dice: Dice) -> None:
    """Executors, which run inline."""
    numbers = await asyncio.gather(
        *(asyncio.to_thread(lambda: random.randrange(1000)) for _ in range(5))
    )
    note("threads", *numbers)


async def everything(seed: int) -> None:
    """All of the above, from one seed."""
    dice = Seed(seed).dice("programs")
    for part in dice.shuffled(
        [in_a_set, in_an_aborting_group, in_generators, in_a_cluster, in_threads]
    ):
        await part(dice)


def digest(seed: int) -> str:
    """The digest of `everything`."""
    trace = Trace()
    run(lambda: everything(seed), seed, trace)
    return trace.digest


def string_set_digest(seed: int) -> str:
    """The digest of a program with a fault: it iterates a set of strings."""

    async def faulty() -> None:
        note("order", *{f"agent-{number}" for number in range(12)})

    trace = Trace()
    run(faulty, seed, trace)
    return trace.digest
