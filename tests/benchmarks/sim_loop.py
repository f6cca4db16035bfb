"""Steps of the simulation's loop, traced and guarded, against the same program on asyncio's."""

import asyncio
import gc
from asyncio import Queue, sleep
from collections.abc import AsyncGenerator, Callable, Coroutine
from time import thread_time
from typing import Any

from moonlet.simulations.run import SimulationRun
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work

TASKS = 100
HOPS = 300_000
HOPS_PER_INSTANT = 10_000
SLEEPS = 36_000
PAUSE = 0.001  # seconds; in the ring alone, on both loops

RING = Row("simulated: ring of 100 tasks", "steps/s", "asyncio's loop", bar_value=150_000)
TIMERS = Row("simulated: 100 tasks that sleep", "steps/s", "asyncio, without waiting",
             bar_value=150_000)  # fmt: skip

Program = Callable[[int], Coroutine[Any, Any, None]]


async def ring(hops: int) -> None:
    """A token goes around through queues."""
    queues: list[Queue[int]] = [Queue() for _ in range(TASKS)]
    done = asyncio.Event()

    async def pass_on(place: int) -> None:
        while True:
            hop = await queues[place].get() + 1
            if hop % HOPS_PER_INSTANT == 0:
                await sleep(PAUSE)
            if hop >= hops:
                done.set()
            queues[(place + 1) % TASKS].put_nowait(hop)

    tasks = [asyncio.create_task(pass_on(place)) for place in range(TASKS)]
    queues[0].put_nowait(0)
    await done.wait()
    for task in tasks:
        task.cancel()


async def timers(sleeps: int, seconds: float = 1.0) -> None:
    """Tasks that do nothing but wait."""

    async def wait() -> None:
        for _ in range(sleeps // TASKS):
            await sleep(seconds)

    await asyncio.gather(*(wait() for _ in range(TASKS)))


async def timers_at_once(sleeps: int) -> None:
    """The same where time is real: each sleep ends at once."""
    await timers(sleeps, 0.000_001)


def simulated(program: Program, size: int) -> tuple[float, int]:
    """Seconds of one core, and steps."""
    simulation = SimulationRun(1)
    began = thread_time()
    simulation.run(lambda: program(size))
    return thread_time() - began, simulation.trace.count


def real(program: Program, size: int) -> float:
    """Seconds of one core on asyncio's own loop, its collector off as it is in a run."""
    gc.disable()
    try:
        began = thread_time()
        asyncio.run(program(size))
        return thread_time() - began
    finally:
        gc.enable()


def compare(program: Program, bare: Program, size: int) -> Pair:
    """Steps per second of one core, ours and those of the other loop for the same steps."""
    seconds, steps = simulated(program, size)
    return Pair(steps / seconds, steps / real(bare, size))


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    while True:
        yield {
            RING.name: await asyncio.to_thread(compare, ring, ring, scale.of(HOPS)),
            TIMERS.name: await asyncio.to_thread(compare, timers, timers_at_once, scale.of(SLEEPS)),
        }


WORKS = (Work((RING, TIMERS), rounds),)
