"""Unmodified nats-py, and our adapter over it, inside a run."""

import asyncio
import sys

import pytest

from moonlet.core.errors import Unavailable
from moonlet.simulations import run_elsewhere, run_twice
from moonlet.simulations.errors import Escape
from moonlet.simulations.jetstream import MemoryServer
from moonlet.streams.api import Message
from tests.simulations.jetstream import wire_programs
from tests.simulations.jetstream.wire_programs import connect, run, this_loop

SEEDS = (1, 2, 3)


def test_plain_nats_finds_all_that_it_knows() -> None:
    assert run(wire_programs.with_plain_nats) == [
        b"HELLO", 1, 2, 3, 4, 5,
        *((f"s.{number}", b"%d" % number, str(number)) for number in range(5)),
        1, 2, b"2",
    ]  # fmt: skip


def test_hosts_work_on_though_one_crashes_one_pauses_and_the_server_restarts() -> None:
    assert run(wire_programs.of_nodes) == 40


def test_one_seed_has_one_trace_twice_in_this_process() -> None:
    trace = run_twice(lambda trace: run(wire_programs.of_nodes, 1, trace))
    assert trace.digest == wire_programs.digest(1)


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_one_seed_has_one_digest_whatever_the_hash_seed(hash_seed: str) -> None:
    target = f"{wire_programs.__name__}:digest"
    here = [wire_programs.digest(seed) for seed in SEEDS]
    assert run_elsewhere(target, SEEDS, hash_seed=hash_seed) == here


def test_a_restarted_server_is_found_again_with_all_subscriptions() -> None:
    async def program(server: MemoryServer) -> None:
        js, other = await connect(), await connect()
        seen: list[Message] = []
        await js.subscribe("news", seen.append)
        reconnected: list[float] = []
        js.on_reconnect(lambda: reconnected.append(this_loop().time()))
        server.stop()
        await asyncio.sleep(1)
        assert not js.connected
        with pytest.raises(Unavailable, match="there is no NATS server at nats://nats:4222"):
            await connect()
        server.start()
        await asyncio.sleep(2)
        assert js.connected and len(reconnected) == 1
        other.post("news", b"1")
        await other.close()
        await asyncio.sleep(0.1)
        assert [message.data for message in seen] == [b"1"]
        await js.close()

    run(program)


def test_a_crashed_client_is_forgotten_when_it_is_written_to() -> None:
    async def program(server: MemoryServer) -> None:
        js = await connect()
        node = this_loop().node("h1")

        async def listen() -> None:
            theirs = await connect()
            await theirs.subscribe("work", lambda _: None, queue="q")
            await asyncio.sleep(100)

        node.spawn(listen())
        await asyncio.sleep(1)
        node.crash()
        js.post("work")
        await asyncio.sleep(1)
        with pytest.raises(Unavailable, match="nobody received"):
            await js.request("work", timeout=1)
        await js.close()

    run(program)


def test_an_object_store_is_written_and_reading_it_is_said_to_be_not_simulated() -> None:
    """Moonlet has none: outcomes that stand apart are chunks in a stream.

    From Python 3.12 on the guard sees that nats-py asks a clock of its own when it writes.
    """
    if sys.version_info >= (3, 12):
        with pytest.raises(Escape, match=r"datetime\.now\(\) .*object_store\.py"):
            run(wire_programs.with_objects)
        return
    with pytest.raises(Exception, match="timeout") as failed:
        run(wire_programs.with_objects)
    notes = " ".join(getattr(failed.value, "__notes__", []))
    assert "NotSimulated: the simulated JetStream doesn't cover the consumer option" in notes
