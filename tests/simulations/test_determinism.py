"""P9: one seed, one trace; and that the test would see it if it were not so."""

import sys
from asyncio import sleep
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from moonlet.simulations.errors import Diverged, SimulationError
from moonlet.simulations.run import run_elsewhere, run_twice
from moonlet.simulations.trace import Trace
from tests.simulations import programs

SEEDS = range(300)
HASH_SEEDS = ("0", "1", "random")


@pytest.fixture(scope="module")
def digests() -> list[str]:
    """The digest of each seed in this process."""
    return [programs.digest(seed) for seed in SEEDS]


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
def test_one_seed_has_one_digest_in_every_process(hash_seed: str, digests: list[str]) -> None:
    assert run_elsewhere(f"{programs.__name__}:digest", SEEDS, hash_seed=hash_seed) == digests


def test_different_seeds_have_different_digests(digests: list[str]) -> None:
    assert len(set(digests)) == len(SEEDS)


def test_ten_runs_of_one_seed_leave_one_trace() -> None:
    keep = []
    traces = []
    for attempt in range(10):
        trace = Trace()
        programs.run(lambda: programs.everything(7), 7, trace)
        keep.append([bytearray(100) for _ in range(1000 * attempt + 37)])
        traces.append((trace.digest, trace.events, trace.checkpoints))
    assert all(trace == traces[0] for trace in traces)


def test_a_profiler_and_a_tracer_change_nothing() -> None:
    bare = programs.digest(3)
    seen = []
    tracer = sys.gettrace()
    sys.settrace(lambda frame, event, argument: seen.append(event))
    try:
        traced = programs.digest(3)
    finally:
        sys.settrace(tracer)
    assert traced == bare
    assert seen


def test_a_set_of_strings_is_seen_in_another_process() -> None:
    target = f"{programs.__name__}:string_set_digest"
    orders = {run_elsewhere(target, [1], hash_seed=hash_seed)[0] for hash_seed in "0123"}
    assert len(orders) > 1


def test_a_program_that_fails_in_a_fresh_process_says_so() -> None:
    with pytest.raises(SimulationError, match="no_such_program"):
        run_elsewhere(f"{programs.__name__}:no_such_program", [1])


Program = Callable[[], Awaitable[Any]]


class Thing:
    """Hashes by its address."""


async def addressed() -> None:
    things = {Thing() for _ in range(50)}
    programs.note("order", *[sorted(map(id, things)).index(id(thing)) for thing in things])


def forgetful() -> Program:
    memory: list[int] = []

    async def main() -> None:
        for _ in range(300):
            await sleep(0.001)
        memory.append(1)
        if len(memory) > 1:
            await sleep(0)
        for _ in range(300):
            await sleep(0.001)

    return main


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (addressed, "First event that differs"),
        (forgetful(), r"part at step 601\. One run: the driver at t=0\.301"),
    ],
)
def test_the_double_run_sees_addresses_and_state_that_an_earlier_run_left(
    main: Program, message: str
) -> None:
    with pytest.raises(Diverged, match=message):
        run_twice(lambda trace: programs.run(main, 1, trace))


def test_the_double_run_of_a_good_program_gives_its_trace_and_its_error() -> None:
    trace = run_twice(lambda trace: programs.run(lambda: programs.everything(4), 4, trace))
    assert trace.digest == programs.digest(4)

    async def failing() -> None:
        raise ValueError("as ever")

    with pytest.raises(ValueError, match="as ever"):
        run_twice(lambda trace: programs.run(failing, 1, trace))


def test_a_run_that_ends_otherwise_the_second_time_is_seen_though_the_traces_agree() -> None:
    ends = iter([ValueError("one"), ValueError("two")])

    async def moody() -> None:
        raise next(ends)

    with pytest.raises(Diverged, match=r"ValueError\('one'\).*ValueError\('two'\)"):
        run_twice(lambda trace: programs.run(moody, 1, trace))
