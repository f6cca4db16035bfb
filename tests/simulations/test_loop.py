"""The event loop: time, order, deadlock, livelock, deaths and the end of a run."""

import asyncio
import gc
import weakref
from asyncio import sleep
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moonlet.simulations.errors import Deadlock, Escape, Livelock, SilentDeath
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.loop import sim_loop as loop_module
from moonlet.simulations.loop.asyncgens import AsyncGenerators
from moonlet.simulations.run import SimulationRun
from moonlet.simulations.trace import Trace
from tests.simulations.programs import run, this_loop


def test_who_waits_for_the_rest_of_a_deadline_comes_to_its_end() -> None:
    """The rest may be less than a nanosecond, by a float's last digits."""

    async def main() -> int:
        until = 1 + 2e-10
        await sleep(1)
        await sleep(until - this_loop().time())
        assert this_loop().time() >= until
        return this_loop().now_ns

    assert run(main) == 1_000_000_001


def test_time_starts_at_zero_and_jumps_when_all_is_idle() -> None:
    async def main() -> list[int]:
        seen = [this_loop().now_ns]
        for seconds in (0, 0.000_000_001, 0.1, 86_400 * 30):
            await sleep(seconds)
            seen.append(this_loop().now_ns)
        return seen

    assert run(main) == [0, 0, 1, 100_000_001, 86_400 * 30 * 10**9 + 100_000_001]


def test_tenths_add_up_without_rounding() -> None:
    async def main() -> int:
        for _ in range(1000):
            await sleep(0.1)
        return this_loop().now_ns

    assert run(main) == 100 * 10**9


def test_callbacks_run_in_the_order_of_registration_and_timers_by_time_then_order() -> None:
    async def main() -> str:
        loop, order = this_loop(), list[str]()
        loop.call_later(0.2, order.append, "f")
        loop.call_later(0.1, order.append, "c")
        loop.call_at(0.1, order.append, "d")
        loop.call_at_ns(100_000_000, order.append, "e")
        loop.call_soon(order.append, "a")
        loop.call_soon(order.append, "b")
        await sleep(1)
        return "".join(order)

    assert run(main) == "abcdef"


def test_a_timer_without_delay_is_not_starved_by_a_spinning_task() -> None:
    async def main() -> int:
        spins = 0
        ended = asyncio.Event()
        this_loop().call_later(0, ended.set)
        while not ended.is_set():
            await sleep(0)
            spins += 1
        return spins

    assert run(main) <= 2


def test_a_cancelled_timer_does_not_run_nor_moves_the_clock() -> None:
    async def main() -> int:
        loop = this_loop()
        timers = [loop.call_later(5, pytest.fail) for _ in range(1000)]
        for timer in timers:
            timer.cancel()
        await sleep(1)
        await sleep(1)
        assert len(loop._timers.heap) < 110
        return loop.now_ns

    assert run(main) == 2 * 10**9


def test_a_step_can_take_time() -> None:
    async def main() -> float:
        this_loop().spend(5 * 10**9)
        return this_loop().time()

    assert run(main) == 5.0


def test_tasks_are_named_by_what_they_run_and_their_number() -> None:
    async def work() -> None: ...

    async def main() -> list[str]:
        tasks = [asyncio.create_task(work()) for _ in range(2)]
        tasks.append(asyncio.create_task(work(), name="mine"))
        await asyncio.wait(tasks)
        return [task.get_name().rpartition(".")[2] for task in tasks]

    assert run(main) == ["work#2", "work#3", "mine"]


def test_a_deadlock_says_who_waits_for_what() -> None:
    async def main() -> None:
        lock, queue = asyncio.Lock(), asyncio.Queue[int]()

        async def holder() -> None:
            async with lock:
                await queue.get()

        async def second() -> None:
            async with lock:
                await sleep(0)

        held, wanting = asyncio.create_task(holder(), name="holder"), asyncio.create_task(second())
        await asyncio.gather(held, wanting)

    with pytest.raises(Deadlock) as caught:
        run(main)
    driver, held, wanting = caught.value.waiting
    assert "gather" not in driver
    assert driver.endswith(f"for holder, {wanting.split(' waits')[0]}")
    assert "Queue.get (queues.py:" in held
    assert "holder (test_loop.py:" in held
    assert "Lock.acquire (locks.py:" in wanting
    assert "timeout" in str(caught.value)


def test_a_deadlock_shows_the_circle() -> None:
    async def main() -> None:
        tasks: dict[str, asyncio.Task[None]] = {}

        async def one() -> None:
            await asyncio.wait({tasks["two"]})

        async def two() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(three(), name="three")

        async def three() -> None:
            await tasks["one"]

        tasks["one"] = asyncio.create_task(one(), name="one")
        tasks["two"] = asyncio.create_task(two(), name="two")
        await tasks["one"]

    with pytest.raises(Deadlock, match="circle: one -> two -> three -> one"):
        run(main)


def test_a_livelock_is_reported_with_the_busiest_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "STEPS_PER_INSTANT_MAX", 2_000)

    async def spin() -> None:
        while this_loop().time() <= 1:  # noqa: ASYNC110
            await sleep(0)

    async def main() -> None:
        await sleep(1)
        await spin()

    with pytest.raises(Livelock, match=r"t=1\.0.*driver#1 100 %") as caught:
        run(main)
    assert 2_000 < caught.value.steps < 3_000


def test_many_steps_are_no_livelock_while_the_clock_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "STEPS_PER_INSTANT_MAX", 500)

    async def main() -> None:
        for _ in range(3_000):
            await sleep(0.001)

    run(main)


def test_a_background_task_that_dies_unseen_fails_the_run() -> None:
    async def dying() -> None:
        await sleep(1)
        raise ValueError("nobody hears this")

    async def main() -> str:
        task = asyncio.create_task(dying(), name="dying")
        await sleep(2)
        return task.get_name()

    with pytest.raises(SilentDeath, match=r"dying.*ValueError: nobody hears this.*test_loop\.py"):
        run(main)


def test_one_that_is_dropped_after_its_death_fails_the_run_too() -> None:
    async def dying() -> None:
        raise ValueError("nobody hears this")

    async def main() -> None:
        task = asyncio.create_task(dying())
        await sleep(1)
        del task

    with pytest.raises(SilentDeath, match="nobody hears this"):
        run(main)


def test_a_callback_that_raises_fails_the_run() -> None:
    async def main() -> None:
        this_loop().call_soon([].pop)
        await sleep(1)

    with pytest.raises(SilentDeath, match="IndexError: pop from empty list"):
        run(main)


def test_a_death_that_somebody_sees_is_none() -> None:
    async def dying() -> None:
        raise ValueError

    async def main() -> list[object]:
        handled = list[object]()
        this_loop().set_exception_handler(lambda loop, context: handled.append(context["message"]))
        this_loop().call_soon([].pop)
        await asyncio.gather(dying(), return_exceptions=True)
        return handled

    assert len(run(main)) == 1


def test_a_task_that_is_lost_while_it_waits_fails_the_run() -> None:
    async def main() -> None:
        async def lost() -> None:
            await asyncio.Future()

        asyncio.create_task(lost())  # noqa: RUF006
        await sleep(0)
        gc.collect()

    with pytest.raises(SilentDeath, match="destroyed but it is pending"):
        run(main)


def test_what_the_run_raises_comes_out_with_what_came_before() -> None:
    async def main() -> None:
        this_loop().call_soon([].pop)
        await sleep(1)
        raise KeyError("the first cause is in the notes")

    with pytest.raises(KeyError) as caught:
        run(main)
    assert "pop from empty list" in caught.value.__notes__[0]


def test_executors_run_inline_in_a_step_of_their_own_and_outside_the_loop() -> None:
    def blocking() -> str:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        order.append("thread")
        return "done"

    order: list[str] = []

    async def main() -> None:
        future = asyncio.ensure_future(asyncio.to_thread(blocking))
        await sleep(0)
        order.append("before")
        assert await future == "done"
        with pytest.raises(ZeroDivisionError):
            await this_loop().run_in_executor(None, lambda: 1 // 0)
        asyncio.get_running_loop()

    run(main)
    assert order == ["before", "thread"]


def test_left_over_coroutines_are_closed_in_creation_order_when_the_run_has_ended() -> None:
    order: list[object] = []
    trace = Trace()

    async def left(number: int) -> None:
        try:
            await sleep(100)
        finally:
            order.append(number)
            trace.event(0, "", "last words")
            try:
                this_loop()
            except RuntimeError:
                order.append("no loop")
            await sleep(1)

    async def main() -> None:
        kept = [asyncio.create_task(left(number)) for number in range(3)]
        await sleep(1)
        del kept[0]

    run(main, trace=trace)
    assert trace.events == []
    assert order == [0, 1, 2]


# The garbage of other tests of this process is not what is looked for.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_universe_leaves_no_garbage_and_the_collector_as_it_was() -> None:
    async def main() -> None:
        this_loop().node("h1").spawn(sleep(100))
        await sleep(1)

    assert gc.isenabled()
    simulation = SimulationRun(1)
    simulation.run(lambda: main())
    gone = weakref.ref(simulation.loop)
    del simulation
    gc.collect()
    assert gone() is None
    assert gc.isenabled()


def test_generators_are_shut_down_in_the_order_in_which_they_began() -> None:
    closed: list[int] = []

    async def count(number: int) -> AsyncIterator[int]:
        try:
            while True:
                yield number
        finally:
            closed.append(number)

    async def main() -> None:
        kept = [count(number) for number in range(600)]
        for agen in reversed(kept):
            await anext(agen)
        del kept[100:]
        await sleep(1)
        assert closed == list(range(599, 99, -1))  # as a slice is deleted
        await this_loop().shutdown_asyncgens()

    run(main)
    assert closed[500:] == list(range(99, -1, -1))


def test_a_generator_at_a_used_address_comes_after_those_before_it() -> None:
    async def count() -> AsyncIterator[int]:
        yield 1

    known = AsyncGenerators()
    kept: list[Any] = [count() for _ in range(20)]
    for agen in kept:
        known.add(agen)
    for place in range(0, 20, 2):
        kept[place] = None
        kept[place] = count()
    new = kept[::2]
    for agen in new:
        known.add(agen)
    assert list(known) == [*kept[1::2], *new]


# The garbage of other tests of this process is not what is looked for.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_is_called_about_the_garbage_of_a_run() -> None:
    called: list[str] = []

    def hear(phase: str, info: object) -> None:
        called.append(phase)

    async def main() -> None:
        gc.collect()

    gc.callbacks.append(hear)
    try:
        run(main)
        assert called == []
        gc.collect()
    finally:
        gc.callbacks.remove(hear)
    assert called == ["start", "stop"]


def test_all_tasks_are_those_of_the_own_process_in_creation_order() -> None:
    async def main() -> None:
        node = this_loop().node("h1")
        mine = [asyncio.create_task(sleep(10)) for _ in range(20)]
        seen: list[list[str]] = []

        async def look() -> None:
            seen.append([task.get_name() for task in asyncio.all_tasks()])

        await node.spawn(look(), name="look")
        assert seen == [["look"]]
        assert list(asyncio.all_tasks())[1:] == mine

    run(main)


def test_sockets_signals_and_foreign_task_factories_are_errors_of_the_loop() -> None:
    class Odd(asyncio.Task[None]):
        """Made before the run, so it hashes by its address."""

    async def main() -> None:
        loop = this_loop()
        for fenced in ("add_reader", "sock_recv", "add_signal_handler", "subprocess_exec"):
            with pytest.raises(Escape, match=rf"loop\.{fenced}\(\).*test_loop"):
                getattr(loop, fenced)(1, None)
        with pytest.raises(Escape, match="wire"):
            await asyncio.open_connection("example.com", 80)
        factory: Any = lambda loop, coro, **options: Odd(coro, loop=loop, **options)  # noqa: E731
        loop.set_task_factory(factory)
        with pytest.raises(Escape, match="factory"):
            await asyncio.create_task(sleep(0))
        loop.set_task_factory(None)
        loop.escapes.clear()
        loop.deaths.clear()

    run(main)


def test_an_escape_that_is_swallowed_fails_the_run() -> None:
    async def main() -> str:
        try:
            this_loop().add_reader(0, print)
        except Exception:
            return "as if nothing had happened"
        return "reached the world"

    with pytest.raises(Escape, match="add_reader"):
        run(main)


def test_a_wire_takes_the_place_of_sockets() -> None:
    class Echo(asyncio.Transport):
        def __init__(self, protocol: asyncio.Protocol) -> None:
            super().__init__()
            self.protocol = protocol
            self.closed = False

        def write(self, data: bytes | bytearray | memoryview) -> None:
            this_loop().call_soon(self.protocol.data_received, bytes(data))

        def is_closing(self) -> bool:
            return self.closed

        def close(self) -> None:
            self.closed = True

    class Net:
        async def create_connection(
            self, factory: object, host: object = None, port: object = None, **options: object
        ) -> object:
            assert callable(factory)
            protocol = factory()
            transport = Echo(protocol)
            protocol.connection_made(transport)
            return transport, protocol

    async def main() -> bytes:
        this_loop().wire = Net()  # type: ignore[assignment]
        reader, writer = await asyncio.open_connection("sim", 4222)
        writer.write(b"PING\r\n")
        line = await reader.readline()
        writer.close()
        return line

    assert run(main) == b"PING\r\n"


def test_the_loop_serves_without_a_universe() -> None:
    loop = SimLoop()
    try:
        assert loop.run_until_complete(sleep(5, "slept")) == "slept"
        assert loop.time() == 5
    finally:
        loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
