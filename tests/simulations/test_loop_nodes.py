"""Nodes: crash, restart, pause, slowness, and their clocks."""

import asyncio
import gc
import time
from asyncio import sleep
from collections.abc import AsyncIterator

import pytest

from moonlet.simulations.errors import Deadlock
from moonlet.simulations.loop import EPOCH_NS, current_node
from tests.simulations.programs import run, this_loop

SECOND = 10**9


def test_tasks_and_callbacks_belong_to_the_node_that_made_them() -> None:
    async def inner() -> str:
        node = current_node()
        assert node is not None
        return node.name

    async def main() -> list[str]:
        names: list[str] = []

        async def outer() -> None:
            names.append(await asyncio.create_task(inner()))
            names.append(await asyncio.to_thread(lambda: str(current_node())))
            this_loop().call_later(1, lambda: names.append(str(current_node())))
            await sleep(2)

        assert current_node() is None
        node = this_loop().node("h2")
        task = node.spawn(sleep(1))
        assert this_loop().tasks.of(node.life) == [task]
        await this_loop().node("h1").spawn(outer())
        return names

    assert run(main) == ["h1", "<Node h1 up>", "<Node h1 up>"]


def test_a_crash_is_a_power_cut() -> None:
    """No `finally`, no `CancelledError`, nothing that was ready or set."""
    heard: list[str] = []

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
            await sleep(100)
        finally:
            heard.append("generator")

    async def work(name: str) -> None:
        try:
            async for _ in generate():
                await sleep(1)
        except asyncio.CancelledError:
            heard.append("cancelled")
        finally:
            heard.append(f"finally {name}")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            heard.append("finally waiting")

    async def main() -> list[str]:
        loop = this_loop()
        node = loop.node("h1")
        node.spawn(wait())
        node.spawn(work("a"))
        node.spawn(work("b"))
        await sleep(0.5)
        loop.call_at_ns(0, heard.append, "ready", context=node.life.context)
        loop.call_later(1, heard.append, "the driver's")
        node.spawn(work("never began"))
        node.crash()
        node.crash()
        assert not node.up
        gc.collect()
        await sleep(10)
        return list(heard)

    assert run(main) == ["the driver's"]
    assert "finally waiting" in heard
    assert "finally a" in heard  # at the end of the run, outside the loop


def test_a_generator_of_a_dead_node_is_not_closed_by_whoever_drops_it_last() -> None:
    heard: list[str] = []

    async def generate(name: str) -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            heard.append(name)

    async def main() -> list[str]:
        kept: dict[str, AsyncIterator[int]] = {}

        async def begin(name: str) -> None:
            kept[name] = generate(name)
            await anext(kept[name])

        for name in ("dead", "alive"):
            await this_loop().node(name).spawn(begin(name))
        this_loop().node("dead").crash()
        kept.clear()
        await sleep(1)
        return heard

    assert run(main) == ["alive"]


def test_a_crash_by_its_own_hand_ends_at_the_next_await() -> None:
    seen: list[int] = []

    async def suicidal() -> None:
        seen.append(1)
        this_loop().node("h1").crash()
        asyncio.create_task(suicidal())  # noqa: RUF006
        seen.append(2)
        await sleep(0)
        seen.append(3)

    async def main() -> list[int]:
        this_loop().node("h1").spawn(suicidal())
        await sleep(1)
        return list(seen)

    assert run(main) == [1, 2]


def test_a_restart_is_a_new_life_that_hears_nothing_of_the_old_one() -> None:
    async def main() -> list[str]:
        loop, heard = this_loop(), list[str]()
        node = loop.node("h1")

        async def serve(name: str) -> None:
            while True:
                await sleep(1)
                heard.append(name)

        node.spawn(serve("old"))
        await sleep(1.5)
        with pytest.raises(AssertionError):
            node.restart()
        node.crash()
        await sleep(5)
        node.restart()
        assert node.up
        node.spawn(serve("new"))
        await sleep(2.5)
        return heard

    assert run(main) == ["old", "new", "new"]


def test_what_died_before_a_crash_is_no_silent_death() -> None:
    async def dying() -> None:
        raise ValueError

    async def main() -> None:
        node = this_loop().node("h1")
        task = node.spawn(dying())
        await sleep(1)
        node.crash()
        assert task.done()

    run(main)


def test_messages_in_flight_outlive_their_sender() -> None:
    async def main() -> list[str]:
        loop, inbox = this_loop(), list[str]()

        async def send() -> None:
            loop.call_at_ns(SECOND, inbox.append, "in flight", context=loop.outside)
            loop.call_at_ns(SECOND, inbox.append, "its own timer")

        node = loop.node("h1")
        await node.spawn(send())
        node.crash()
        await sleep(2)
        return inbox

    assert run(main) == ["in flight"]


def test_a_pause_holds_everything_up_in_order_and_lets_it_go() -> None:
    async def main() -> list[tuple[str, float]]:
        loop, heard = this_loop(), list[tuple[str, float]]()
        node = loop.node("h1")

        async def tick(name: str, delay: float) -> None:
            await sleep(delay)
            heard.append((name, loop.time()))

        for name, delay in (("late", 3.0), ("first", 1.0), ("second", 2.0), ("before", 0.2)):
            node.spawn(tick(name, delay))
        await sleep(0.5)
        node.pause()
        node.pause()
        node.spawn(tick("spawned in the pause", 0))
        await sleep(2)
        node.resume()
        node.resume()
        await sleep(1)
        return heard

    assert run(main) == [
        ("before", 0.2),
        ("spawned in the pause", 2.5),
        ("first", 2.5),
        ("second", 2.5),
        ("late", 3.0),
    ]


def test_a_deadlock_names_the_nodes_and_who_is_paused() -> None:
    async def main() -> None:
        node = this_loop().node("h1")
        task = node.spawn(sleep(1), name="held")
        await sleep(0.5)
        node.pause()
        await task

    with pytest.raises(Deadlock, match=r"h1/held \(paused\) waits in sleep"):
        run(main)


def test_a_slow_node_takes_its_steps_one_after_the_other() -> None:
    async def main() -> list[float]:
        loop, seen = this_loop(), list[float]()
        node = loop.node("h1")

        async def work() -> None:
            for _ in range(3):
                seen.append(loop.time())
                await sleep(0)

        node.slow(SECOND)
        node.spawn(work())
        node.spawn(work())
        await sleep(2.5)
        node.pause()
        await sleep(1)
        node.resume()
        await sleep(1)
        node.slow(0)
        await sleep(1)
        return seen

    assert run(main) == [0, 1, 2, 3.5, 4.5, 4.5]


def test_cancelled_callbacks_cost_a_slow_node_nothing() -> None:
    async def main() -> list[float]:
        loop, seen = this_loop(), list[float]()
        node = loop.node("h1")

        async def schedule() -> None:
            for _ in range(5):
                loop.call_soon(seen.append, -1.0).cancel()
            loop.call_soon(lambda: seen.append(loop.time()))

        node.slow(SECOND)
        await node.spawn(schedule())
        await sleep(5)
        return seen

    assert run(main) == [1]


def test_a_crashed_slow_node_is_silent() -> None:
    async def main() -> list[int]:
        loop, seen = this_loop(), list[int]()
        node = loop.node("h1")
        node.slow(SECOND)
        for number in range(5):
            loop.call_at_ns(0, seen.append, number, context=node.life.context)
        await sleep(1.5)
        node.crash()
        await sleep(10)
        return seen

    assert run(main) == [0, 1]


def test_clocks_drift_and_skew_by_node() -> None:
    async def main() -> None:
        loop = this_loop()
        fast, slow = loop.node("fast"), loop.node("slow")
        fast.drift(200_000)  # a fifth
        slow.drift(-500_000)
        slow.skew_ns = -3600 * SECOND

        async def measure() -> list[float]:
            began = loop.now_ns
            await sleep(6)
            took = (loop.now_ns - began) / SECOND
            return [took, loop.time(), time.monotonic(), time.time() - EPOCH_NS / SECOND]

        assert await fast.spawn(measure()) == [5, 6, 6, 6]
        assert await slow.spawn(measure()) == [12, 8.5, 8.5, 8.5 - 3600]
        assert loop.time() == 17

    run(main)


@pytest.mark.parametrize("ppm", [-333_333, -7, 13, 999_999])
def test_a_timer_of_a_drifting_node_never_fires_early_by_its_own_clock(ppm: int) -> None:
    async def main() -> None:
        loop = this_loop()
        node = loop.node("h1")

        async def check() -> None:
            for nanoseconds in (1, 7, 1000, 123_456_789):
                due = loop.time() + nanoseconds / SECOND
                fired = asyncio.Event()
                loop.call_at(due, fired.set)
                await fired.wait()
                assert round(loop.time() * SECOND) >= round(due * SECOND)
                node.drift(ppm)

        node.drift(ppm)
        await node.spawn(check())

    run(main)


def test_changing_the_drift_does_not_move_the_clock() -> None:
    async def main() -> None:
        loop = this_loop()
        node = loop.node("h1")
        for ppm in (500_000, -500_000, 0):
            before = node.local_ns(loop.now_ns)
            node.drift(ppm)
            assert node.local_ns(loop.now_ns) == before
            await sleep(10)
        assert node.local_ns(loop.now_ns) == 30 * SECOND

    run(main)
