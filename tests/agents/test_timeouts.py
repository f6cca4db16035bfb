"""A caller's timeout is kept, whatever hangs; and a client that can't be used says so at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from moonlet.agents import Client, Host, connect
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
