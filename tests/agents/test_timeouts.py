"""A caller's timeout is kept, whatever hangs; and a client that can't be used says so at once."""

import asyncio
import inspect
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from moonlet.agents import Client, Host, Receipt, connect
from moonlet.core.errors import (
    Invalid,
    LimitExceeded,
    MoonletError,
    NoHost,
    Unavailable,
    Unknown,
)
from moonlet.core.memory import WINDOW
from moonlet.streams import decode_plain_commit
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.journals import write_deposits

TIMEOUT = 0.6
LATE = 0.6
"""Seconds over the timeout that a busy machine is granted; the promise is 0.2."""


async def kept(
    call: Awaitable[Any], error: type[MoonletError], timeout: float = TIMEOUT
) -> MoonletError:
    """The error with which the call ends, in time."""
    begun = time.monotonic()
    with pytest.raises(error) as caught:
        await asyncio.wait_for(call, timeout + 5)
    assert time.monotonic() - begun < timeout + LATE
    return caught.value


async def test_every_call_ends_within_its_timeout_though_the_server_hangs(
    own_server: ServerProcess,
) -> None:
    account = account_type()
    async with connect(own_server.url, agents=[account]) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/met", Deposit(1))
        receipt = await moon.tell("account/met", Deposit(1))
        own_server.pause()
        try:
            unknown, *_, late, error = await asyncio.gather(
                kept(moon.ask("account/met", Deposit(1), timeout=TIMEOUT), Unknown),
                kept(moon.ask("account/new", Deposit(1), timeout=TIMEOUT), Unknown),
                kept(moon.tell("account/new", Deposit(1), timeout=TIMEOUT), Unknown),
                kept(moon.query("account/met", GetBalance(), timeout=TIMEOUT), NoHost),
                kept(moon.order("account/met", "status", timeout=TIMEOUT), NoHost),
                kept(receipt.committed(timeout=TIMEOUT), Unknown),
                kept(moon.ask("other/new", Deposit(1), timeout=TIMEOUT), Unavailable),
            )
            assert isinstance(unknown, Unknown)
            assert unknown.stored == "maybe"
            assert isinstance(late, Unknown)
            assert late.stored == "yes"
            assert "where agents of type other are" in str(error)
            assert own_server.url in str(error)
        finally:
            own_server.resume()


CALLS: dict[str, Callable[[Client, Receipt], Awaitable[Any]]] = {
    "Client.tell": lambda moon, receipt: moon.tell("account/s0", Deposit(1), timeout=TIMEOUT),
    "Client.ask": lambda moon, receipt: moon.ask("account/s0", Deposit(1), timeout=TIMEOUT),
    "Client.query": lambda moon, receipt: moon.query("account/s0", GetBalance(), timeout=TIMEOUT),
    "Client.order": lambda moon, receipt: moon.order("account/s0", "status", timeout=TIMEOUT),
    "Client.history": lambda moon, receipt: anext(moon.history("account/s0", timeout=TIMEOUT)),
    "Client.state": lambda moon, receipt: moon.state("account/s0", timeout=TIMEOUT),
    "Client.publish": lambda moon, receipt: moon.publish(
        "news", 1, id="account/s0", timeout=TIMEOUT
    ),
    "Client.unsubscribe": lambda moon, receipt: forgotten(moon),
    "Receipt.committed": lambda moon, receipt: receipt.committed(timeout=TIMEOUT),
}


UNSENT: Any = None


async def forgotten(moon: Client) -> str:
    """Says of what it was told, as the other calls do."""
    there = await moon.unsubscribe(durable="nobody", timeout=TIMEOUT)
    return f"account/s0: {there}"


def test_every_public_call_of_a_client_is_bounded() -> None:
    calls = {
        f"{owner.__name__}.{name}"
        for owner in (Client, Receipt)
        for name, call in vars(owner).items()
        if not name.startswith("_")
        and (inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))
    }
    assert calls == set(CALLS)


async def ends(call: Awaitable[Any], timeout: float = TIMEOUT) -> Any:
    """What the call gives or raises, in time; only errors of ours, and no sentence of a library."""
    begun = time.monotonic()
    try:
        ended = await asyncio.wait_for(call, timeout + 5)
    except MoonletError as error:
        ended = error
    assert time.monotonic() - begun < timeout + LATE, ended
    return ended


async def test_every_public_call_ends_in_time_whatever_is_wrong(own_server: ServerProcess) -> None:
    """No host, a history of 60,000 commits, a server that hangs, in the middle of a read too."""
    account = account_type()
    async with connect(own_server.url, agents=[account]) as moon:
        await write_deposits(moon, 1, 60_000)
        old = await moon.tell("account/s0", Deposit(1), id="c-gen.account/s0.50000")
        ended = await asyncio.gather(*(ends(call(moon, old)) for call in CALLS.values()))
        assert all("account/s0" in str(each) for each in ended), ended
        history = moon.history("account/s0", timeout=TIMEOUT)
        state = asyncio.ensure_future(ends(moon.state("account/s0", timeout=3 * TIMEOUT), 1.8))
        for _ in range(1_000):
            await anext(history)
        own_server.pause()
        try:
            wrong = await asyncio.gather(*(ends(call(moon, old)) for call in CALLS.values()))
            assert all(isinstance(error, MoonletError) for error in wrong)
            assert isinstance(await state, MoonletError)
            begun = time.monotonic()
            with pytest.raises(Unavailable, match="history of account/s0"):
                async for _ in history:
                    begun = time.monotonic()
            assert time.monotonic() - begun < TIMEOUT + LATE
        finally:
            own_server.resume()


async def test_a_connection_to_servers_that_say_nothing_is_refused_in_time(
    own_server: ServerProcess,
) -> None:
    """Five that take connections and are silent, and none that listens."""
    silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    try:
        ports = [each.getsockname()[1] for each in silent]
        dead = ",".join(f"nats://127.0.0.1:{port}" for port in [*ports, 9])
        error = await ends(connect(dead).__aenter__(), 2.5)
        assert isinstance(error, Unavailable)
        async with connect(f"{dead},{own_server.url}", agents=[account_type()]) as moon:
            own_server.pause()
            calls = [call for name, call in CALLS.items() if name.startswith("Client")]
            ended = await asyncio.gather(*(ends(call(moon, UNSENT)) for call in calls))
            own_server.resume()
            assert all(isinstance(error, MoonletError) for error in ended), ended
    finally:
        for each in silent:
            each.close()


async def test_what_is_under_way_without_answers_is_bounded_and_said(
    own_server: ServerProcess,
) -> None:
    account = account_type()
    async with connect(own_server.url, agents=[account]) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", Deposit(1))
        route = moon._sender._route("account/a", "medium")
        unanswered = route.take_now()  # a command that is tried for long
        assert unanswered is not None
        await asyncio.gather(*(moon.tell("account/a", Deposit(1)) for _ in range(WINDOW - 1)))
        full = await kept(moon.tell("account/a", Deposit(1), timeout=TIMEOUT), LimitExceeded)
        assert "under way" in str(full)
        waiting = asyncio.ensure_future(moon.tell("account/a", Deposit(1), timeout=30))
        await asyncio.sleep(0)
        route.done(unanswered)
        assert (await waiting).id


async def test_without_a_host_an_ask_costs_no_more_for_a_long_history(
    own_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = account_type()
    read = 0

    def counted(*arguments: Any) -> Any:
        nonlocal read
        read += 1
        return decode_plain_commit(*arguments)

    monkeypatch.setattr("moonlet.agents.histories.records.decode_plain_commit", counted)
    async with connect(own_server.url, agents=[account]) as moon:
        async with Host(moon, [account]):
            await asyncio.gather(*(moon.ask("account/a", Deposit(1)) for _ in range(600)))
        await kept(moon.ask("account/a", Deposit(1), timeout=2.0), Unknown, 2.0)
        assert read < 10
        async with connect(own_server.url, agents=[account]) as newcomer:
            receipt = await newcomer.tell("account/a", Deposit(1))
            await kept(receipt.committed(timeout=TIMEOUT), Unknown)
        assert read < 10
        # One's own id may be an old one: then all is read, once, and the time is kept.
        receipt = await moon.tell("account/a", Deposit(1), id="mine")
        await kept(receipt.committed(timeout=TIMEOUT), Unknown)
        assert 600 <= read < 1200


Use = Callable[[Client], Awaitable[Any]]


@pytest.mark.parametrize(
    "use",
    [
        lambda moon: moon.ask("account/a", Deposit(1)),
        lambda moon: moon.tell("account/a", Deposit(1)),
        lambda moon: moon.query("account/a", GetBalance()),
        lambda moon: moon.order("account/a", "status"),
        lambda moon: moon.state("account/a"),
        lambda moon: anext(moon.history("account/a")),
        lambda moon: Host(moon, [account_type()]).start(),
    ],
    ids=["ask", "tell", "query", "order", "state", "history", "host"],
)
async def test_a_client_that_is_not_open_says_so_at_once(
    use: Use, shared_server: ServerProcess
) -> None:
    moon = connect(shared_server.url, agents=[account_type()])
    with pytest.raises(Invalid, match=r"not open yet.*async with"):
        await use(moon)
    async with moon:
        with pytest.raises(Invalid, match="open already"):
            await moon.__aenter__()
    begun = time.monotonic()
    with pytest.raises(Invalid, match=r"is closed.*async with"):
        await use(moon)
    assert time.monotonic() - begun < LATE


async def test_a_client_that_is_used_from_another_loop_says_so_at_once(
    shared_server: ServerProcess,
) -> None:
    account = account_type()
    async with connect(shared_server.url, agents=[account]) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", Deposit(1))
            for use in (
                lambda: moon.ask("account/a", Deposit(1)),
                lambda: moon.tell("account/a", Deposit(1)),
                lambda: moon.query("account/a", GetBalance()),
            ):
                with pytest.raises(Invalid, match="event loop in which it was opened"):
                    await asyncio.to_thread(asyncio.run, use())
            loop = asyncio.get_running_loop()

            def right() -> Any:
                return asyncio.run_coroutine_threadsafe(
                    moon.ask("account/a", Deposit(1)), loop
                ).result(5)

            assert await asyncio.to_thread(right) > 1
