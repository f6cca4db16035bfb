"""The guard: every way out of a run is virtual, or an error that names the call and the remedy."""

import asyncio
import gc
import linecache
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
import uuid
import warnings
from asyncio import sleep
from collections.abc import Iterator
from typing import Any

import pytest

from moonlet.simulations.errors import Escape
from moonlet.simulations.guard.attributes import FIRST_PID
from moonlet.simulations.loop import EPOCH_NS, AsyncioFuture, AsyncioTask, SimFuture, SimTask
from moonlet.simulations.run import SimulationRun
from moonlet.simulations.trace import Trace
from tests.simulations import programs
from tests.simulations.probes import ALL, CHANCE, ERROR, VIRTUAL, WATCHED, Probe
from tests.simulations.programs import run, this_loop

PROBES = pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.name)


@pytest.fixture(autouse=True)
def no_deprecations() -> Iterator[None]:
    """`datetime.utcnow` is deprecated from 3.12 on; here it is a way out like others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


# A loop or a socket that can't be made says so as it is deleted.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def reach(probe: Probe, *, seed: int = 1, watch: bool = False) -> Any:
    async def main() -> Any:
        await sleep(1.5)
        return probe.reach()

    return run(main, seed, watch=watch)


def test_the_table_has_more_than_forty_ways_out() -> None:
    assert len({probe.name for probe in ALL}) == len(ALL) > 80
    assert sum(probe.verdict == ERROR for probe in ALL) > 40


@PROBES
def test_a_way_out_is_virtual_or_an_error_that_names_call_and_remedy(probe: Probe) -> None:
    if probe.verdict == VIRTUAL:
        assert repr(reach(probe)) == repr(reach(probe))
        return
    with pytest.raises(Escape) as caught:
        reach(probe, watch=probe.verdict == WATCHED)
    escape = caught.value
    assert probe.word in escape.call
    assert escape.where.startswith(probes_file() if "loop." not in escape.call else "")
    assert escape.remedy in str(escape)
    assert len(escape.remedy) > 10


def probes_file() -> str:
    return str(sys.modules[Probe.__module__].__file__)


@PROBES
def test_ring_3_does_not_change_a_verdict(probe: Probe) -> None:
    if probe.verdict == VIRTUAL:
        assert repr(reach(probe, watch=True)) == repr(reach(probe, watch=False))
    else:
        with pytest.raises(Escape):
            reach(probe, watch=True)


@pytest.mark.parametrize(
    "probe", [probe for probe in ALL if probe.verdict == ERROR], ids=lambda probe: probe.name
)
def test_swallowing_the_error_does_not_help(probe: Probe) -> None:
    async def main() -> None:
        try:
            probe.reach()
        except Exception:
            await sleep(1)

    with pytest.raises(Escape):
        run(main)


def test_chance_is_another_with_another_seed() -> None:
    chance = [
        probe for probe in CHANCE if probe.name.startswith(("random", "Random", "uuid", "sec"))
    ]
    assert len(chance) > 6
    for probe in chance:
        assert reach(probe, seed=1) != reach(probe, seed=2), probe.name


def test_chance_of_one_node_is_not_shifted_by_another() -> None:
    async def draw(times: int) -> list[str]:
        return [uuid.uuid4().hex for _ in range(times)]

    async def main(busy: int) -> list[str]:
        await this_loop().node("h2").spawn(draw(busy))
        return await this_loop().node("h1").spawn(draw(3))

    assert run(lambda: main(0)) == run(lambda: main(5))


def test_clocks_show_the_time_of_the_run() -> None:
    async def main() -> None:
        await sleep(2.5)
        assert time.time_ns() == EPOCH_NS + 2_500_000_000
        assert time.monotonic() == time.perf_counter() == 2.5
        assert time.gmtime()[:6] == time.localtime()[:6] == (2023, 11, 14, 22, 13, 22)
        assert time.strftime("%H:%M:%S") == "22:13:22"
        assert time.ctime() == "Tue Nov 14 22:13:22 2023"

    run(main)


def test_a_node_has_its_own_process_id() -> None:
    async def main() -> list[int]:
        async def ask() -> int:
            return os.getpid()

        node = this_loop().node("h1")
        pids = [os.getpid(), await node.spawn(ask())]
        node.crash()
        node.restart()
        return [*pids, await node.spawn(ask())]

    assert run(main) == [FIRST_PID, FIRST_PID + 1, FIRST_PID + 2]


def test_after_a_run_everything_is_as_it_was() -> None:
    places: list[Any] = [time, os, random, uuid, signal, asyncio, asyncio.tasks, asyncio.futures]

    def look() -> list[dict[str, Any]]:
        return [dict(vars(place)) for place in places]

    zone, state, before = os.environ.get("TZ"), random.getstate(), look()
    profiler, callbacks = sys.getprofile(), list(gc.callbacks)

    async def fails() -> None:
        raise ValueError

    for watch in (False, True):
        with pytest.raises(ValueError):
            run(fails, watch=watch)
    after = look()
    assert [sorted(names) for names in after] == [sorted(names) for names in before]
    for now, then in zip(after, before, strict=True):
        assert {name for name in now if now[name] is not then[name]} <= {"tzname"}
    assert (os.environ.get("TZ"), random.getstate()) == (zone, state)
    assert (sys.getprofile(), list(gc.callbacks)) == (profiler, callbacks)
    assert abs(time.time() - EPOCH_NS / 1e9) > 1000


def test_other_threads_are_left_alone() -> None:
    begin, end, seen = threading.Event(), threading.Event(), list[Any]()

    async def real_loop() -> None:
        tasks = {asyncio.create_task(sleep(0)), asyncio.Task(sleep(0))}
        await asyncio.wait(tasks)
        seen.append([type(task) is AsyncioTask for task in tasks])
        seen.append(type(asyncio.Future()) is AsyncioFuture)
        seen.append(len(asyncio.all_tasks()))

    def outside() -> None:
        begin.wait(10)
        seen.append(time.time())
        os.stat(".")
        threading.Event().wait(0.001)
        asyncio.run(real_loop())
        end.set()

    thread = threading.Thread(target=outside)
    thread.start()

    async def main() -> None:
        begin.set()
        while not end.is_set():  # noqa: ASYNC110
            await sleep(0.000_001)

    real = time.time()
    run(main)
    thread.join(10)
    assert abs(seen[0] - real) < 60
    assert seen[1:] == [[True, True], True, 1]


def test_what_reads_code_may_read_files() -> None:
    async def main() -> str:
        linecache.clearcache()
        try:
            raise ValueError("shown with its line")
        except ValueError:
            text = traceback.format_exc()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("in a run", UserWarning, stacklevel=1)
        logging.getLogger("run").warning("a line of %s", "log")
        return text + str(caught[0].message)

    assert 'raise ValueError("shown with its line")' in run(main)


def test_an_assertion_that_fails_in_a_run_is_reported_as_ever() -> None:
    async def main() -> None:
        left, right = ["a"] * 20, ["a"] * 19 + ["b"]
        assert left == right

    with pytest.raises(AssertionError, match=r"At index 19 diff|assert"):
        run(main)


def test_futures_and_tasks_made_without_the_loop_are_the_simulations() -> None:
    async def main() -> None:
        future: asyncio.Future[int] = asyncio.Future()
        task = asyncio.Task(sleep(0))
        assert type(future) is SimFuture
        assert type(task) is SimTask
        assert isinstance(task, asyncio.Task) and isinstance(task, asyncio.Future)
        assert isinstance(asyncio.gather(task), asyncio.Future)
        assert not isinstance(3, asyncio.Future)
        assert issubclass(SimTask, asyncio.Task) and not issubclass(int, asyncio.Task)
        await task

    run(main)


def test_two_runs_at_once_in_one_process_are_refused() -> None:
    simulation = SimulationRun(2)

    async def main() -> None:
        with pytest.raises(AssertionError, match="another run"):
            simulation.run(main)

    run(main)
    simulation.loop.close()


def test_a_call_site_that_was_harmless_outside_the_run_is_still_watched() -> None:
    def ask() -> float:
        return BOUND()

    ask()

    async def main() -> None:
        ask()

    for _ in range(2):
        with pytest.raises(Escape, match=r"time\.time"):
            run(main, watch=True)


BOUND = time.time


def test_ring_3_costs_no_digest() -> None:
    traces = [Trace(), Trace()]
    for trace, watch in zip(traces, (False, True), strict=True):
        run(lambda: programs.everything(5), 5, trace, watch=watch)
    assert traces[0].digest == traces[1].digest
