"""Sockets inside a run: what programs may expect of TCP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from moonlet.simulations import Escape, SimLoop
from moonlet.simulations.jetstream.wire import HIGH_WATER, Sockets
from tests.simulations import programs

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def this_loop() -> SimLoop:
    loop = programs.this_loop()
    if loop.wire is None:
        loop.wire = Sockets(loop)
    return loop


async def listen(handler: Handler) -> asyncio.AbstractServer:
    this_loop()
    server: Any = await asyncio.start_server(handler, "there", 80)
    assert isinstance(server, asyncio.AbstractServer)
    return server


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_bytes_arrive_in_order_and_then_the_end() -> None:
    async def main() -> list[Any]:
        heard: list[Any] = []

        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(writer.get_extra_info("peername")[0])
            while line := await reader.readline():
                writer.write(line.upper())
            heard.append("the end")
            writer.writelines([b"by", b"e\n"])
            writer.close()
            await writer.wait_closed()

        await listen(shout)
        reader, writer = await asyncio.open_connection("there", 80)
        writer.write(b"a")
        writer.write(b"b\nc\n")
        heard.append(await reader.readline())
        writer.write_eof()
        heard.append(await reader.read())
        writer.close()
        await writer.wait_closed()
        return heard

    assert programs.run(main) == ["driver", b"AB\n", "the end", b"C\nbye\n"]


def test_nobody_listens_where_nobody_listens_any_more() -> None:
    async def main() -> None:
        this_loop()
        with pytest.raises(ConnectionRefusedError, match="there:80"):
            await asyncio.open_connection("there", 80)
        server = await listen(hang_up)
        with pytest.raises(OSError, match="there:80"):
            await listen(hang_up)
        _, writer = await asyncio.open_connection("there", 80)
        writer.close()
        server.close()
        await server.wait_closed()
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("there", 80)
        await listen(hang_up)

    programs.run(main)


def test_a_reset_loses_what_was_under_way_and_both_ends_hear_of_it() -> None:
    async def main() -> None:
        heard: list[str] = []

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(100):
                    heard.append(data.decode())
            except ConnectionResetError:
                heard.append("reset")
            writer.close()

        await listen(hear)
        _, writer = await asyncio.open_connection("there", 80)
        writer.write(b"1")
        await asyncio.sleep(1)
        writer.write(b"2")
        writer.transport.abort()
        writer.write(b"3")
        await asyncio.sleep(1)
        assert heard == ["1", "reset"]

    programs.run(main)


def test_writing_to_an_end_that_closed_is_a_reset() -> None:
    async def main() -> None:
        await listen(hang_up)
        reader, writer = await asyncio.open_connection("there", 80)
        assert await reader.read() == b""
        writer.write(b"is anybody there?")
        await asyncio.sleep(1)
        with pytest.raises(ConnectionResetError):
            await writer.drain()
        writer.close()

    programs.run(main)


def test_a_writer_waits_for_a_reader_that_is_slow() -> None:
    async def main() -> None:
        total = 0

        async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal total
            while data := await reader.read(HIGH_WATER):
                total += len(data)
                await asyncio.sleep(1)
            writer.close()

        await listen(read_slowly)
        _, writer = await asyncio.open_connection("there", 80)
        loop = asyncio.get_running_loop()
        for _ in range(10):
            writer.write(b"x" * HIGH_WATER)
            await writer.drain()
        assert 4 < loop.time() < 10
        assert total < 10 * HIGH_WATER
        writer.close()
        await asyncio.sleep(10)
        assert total == 10 * HIGH_WATER

    programs.run(main)


def test_what_a_crashed_node_had_written_arrives_and_the_next_answer_is_a_reset() -> None:
    async def main() -> None:
        heard: list[str] = []
        loop = this_loop()
        node = loop.node("h1")

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(writer.get_extra_info("peername")[0])
            heard.append((await reader.read(100)).decode())
            await asyncio.sleep(1)
            writer.write(b"thank you")
            try:
                await reader.read(100)
            except ConnectionResetError:
                heard.append("reset")
            writer.close()

        async def speak() -> None:
            _, writer = await asyncio.open_connection("there", 80)
            writer.write(b"last words")
            node.crash()

        await listen(hear)
        node.spawn(speak())
        await asyncio.sleep(5)
        assert heard == ["h1", "last words", "reset"]

    programs.run(main)


def test_a_paused_node_reads_and_a_dead_one_answers_nobody() -> None:
    async def main() -> None:
        loop = this_loop()
        node = loop.node("there")

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            writer.close()

        async def serve() -> None:
            await asyncio.start_server(answer, "there", 80)
            await asyncio.sleep(100)

        node.spawn(serve())
        await asyncio.sleep(1)
        reader, writer = await asyncio.open_connection("there", 80)
        node.pause()
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await reader.read(100)
        node.resume()
        assert await reader.read(100) == b"hello"
        writer.close()
        node.crash()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.open_connection("there", 80)

    programs.run(main)


def test_a_connection_that_nobody_waits_for_any_more_is_closed() -> None:
    async def main() -> None:
        ends: list[bytes] = []

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                ends.append(await reader.read(100))
            except ConnectionResetError:
                ends.append(b"reset")
            writer.close()

        await listen(hear)
        for steps in range(4):
            opening = asyncio.create_task(asyncio.open_connection("there", 80))
            for _ in range(steps):
                await asyncio.sleep(0)
            opening.cancel()
            try:
                _, writer = await opening
            except asyncio.CancelledError:
                continue
            writer.close()
        await asyncio.sleep(1)
        assert ends and set(ends) <= {b"reset", b""}

    programs.run(main)


def test_encryption_is_an_escape() -> None:
    async def main() -> None:
        this_loop()
        await asyncio.open_connection("there", 80, ssl=True)

    with pytest.raises(Escape, match="TLS"):
        programs.run(main)
