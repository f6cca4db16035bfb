"""Whole worlds: seeds of the reference scenario, its single faults, and shrinking what fails."""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import AsyncGenerator
from itertools import count
from time import perf_counter, thread_time

import msgspec

from moonlet.simulations import World
from moonlet.simulations.reference import ACCOUNTS, OPENED_WITH, PAUSE, Transfer, reference
from moonlet.simulations.scenario import Run, Scenario
from moonlet.simulations.search import shrink, single_faults
from moonlet.simulations.search.exhausting import calm_profile
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work

SEEDS = 60
CALM = 20
AT_A_TIME = 2
FAILING = 5

RATE = Row("simulated: seeds of the reference scenario", "seeds/s", "the same without faults",
           bar_value=100)  # fmt: skip
TIME = Row("simulated: virtual by real time, with faults", "s/s", "the same without faults",
           bar_value=1_000)  # fmt: skip
SINGLE = Row("simulated: all single faults of the scenario, two at a time", "s",
             "as many runs without a fault, two at a time", less_is_better=True,
             bar_value=30)  # fmt: skip
SHRINK = Row("simulated: shrinking a failing seed", "s", "as many calm runs",
             less_is_better=True, bar_value=5)  # fmt: skip
LEFT = Row("simulated: faults left of a failing seed", "faults", "what it had fired",
           less_is_better=True, bar_value=3)  # fmt: skip


async def hurried(world: World) -> None:
    """The reference scenario's transfers, and a claim that holds only while nothing is late."""
    dice = world.seed.dice("bank")
    names = [f"account/a{number}" for number in range(ACCOUNTS)]
    async with world.client() as moon:
        for _ in range(10):
            source, target = dice.sample(names, 2)
            await moon.tell(source, Transfer(target, dice.between(1, 60)))
            await world.advance(PAUSE)
        states = await world.states("account")
    assert sum(state.balance - OPENED_WITH for state in states.values()) == 0, "money on its way"


hasty = Scenario(
    name=f"{__name__}:hasty",
    body=hurried,
    agents=reference.agents,
    faults=reference.faults,
    horizon="6s",
)


def timed(scenario: Scenario, seed: int, *, calm: bool = False) -> tuple[float, Run]:
    """One run, and the seconds of one core that it took."""
    plan, profile = ((), calm_profile()) if calm else (None, None)
    began = thread_time()
    run = scenario.run(seed, plan=plan, profile=profile)
    return thread_time() - began, run


def seeds(first: int, size: int) -> Round:
    """Seeds under all faults, and calm ones."""
    figures = []
    for calm, many in ((False, size), (True, max(1, size * CALM // SEEDS))):
        runs = [timed(reference, first + seed, calm=calm) for seed in range(many)]
        for _, run in runs:
            if run.error is not None:
                raise run.error
        seconds = sum(taken for taken, _ in runs)
        figures.append((many / seconds, sum(run.virtual_ns for _, run in runs) / 1e9 / seconds))
    (rate, ratio), (calm_rate, calm_ratio) = figures
    return {RATE.name: Pair(rate, calm_rate), TIME.name: Pair(ratio, calm_ratio)}


def single(one_in: int) -> Round:
    """The command as a user runs it, in seconds that pass; of one plan in so many, scaled to all.

    A process of its own, since a fork costs the more the larger the process is.
    """
    command = ["exhaust", reference.name, "--jobs", str(AT_A_TIME), "--sample", str(one_in)]
    began = perf_counter()
    run = subprocess.run(
        [sys.executable, "-m", "moonlet.console", "sim", *command, "--json"],
        check=True,
        capture_output=True,
    )
    seconds = perf_counter() - began
    plans = len(single_faults(reference))
    tried = msgspec.json.decode(run.stdout.splitlines()[-1])["runs"]
    calm = statistics.median(timed(reference, 0, calm=True)[0] for _ in range(5))
    return {SINGLE.name: Pair(seconds * plans / tried, calm * plans / AT_A_TIME)}


def shrinking(seed: int) -> Round:
    """The next seed that fails, made small."""
    failing = next(run for at in count(seed) if (run := timed(hasty, at)[1]).error is not None)
    began = thread_time()
    small = shrink(failing)
    seconds = thread_time() - began
    calm = timed(hasty, seed, calm=True)[0]
    return {
        SHRINK.name: Pair(seconds, calm * small.runs),
        LEFT.name: Pair(len(small.run.hits), small.before),
    }


async def seed_rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    size = scale.of(SEEDS, least=6)
    for number in count():
        yield await asyncio.to_thread(seeds, number * size, size)


async def single_rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    while True:
        yield await asyncio.to_thread(single, max(1, int(1 / scale.factor)))


async def shrink_rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    for number in count():
        yield await asyncio.to_thread(shrinking, 1_000 * number)


WORKS = (
    Work((RATE, TIME), seed_rounds),
    Work((SINGLE,), single_rounds, rounds=1),
    Work((SHRINK, LEFT), shrink_rounds, rounds=FAILING),
)
