"""A disk that is full: the server answers all but appends, and everybody is told so.

Found on a real file system that was full: nats-server 2.15 logs the write error, leaves appends to
that stream without an answer, and takes them again after a restart. Here answers are withheld.
"""

import asyncio
from typing import Any

import pytest

from moonlet.agents import Host
from moonlet.core.errors import Unknown
from moonlet.streams import NoAnswer
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, GetBalance, account_type


async def test_a_journal_that_takes_no_commits_is_named_to_all_and_goes_on(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect() as moon, Host(moon, [account]) as host:
        assert await moon.ask("account/a", Deposit(1)) == 1
        js = moon.bus._js
        publish, full = js.publish, True

        def silent(subject: str, data: bytes, **options: Any) -> "asyncio.Future[Any]":
            if not full or ".evt." not in subject:
                return publish(subject, data, **options)
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(
                0.1, future.set_exception, NoAnswer("no answer in time")
            )
            return future

        monkeypatch.setattr(js, "publish", silent)
        with pytest.raises(Unknown, match=r"disk may be full.*make room") as unknown:
            await moon.ask("account/a", Deposit(2), timeout=3)
        assert unknown.value.stored == "yes"
        assert host.services.alarms["a journal takes no commits"] >= 1
        assert "disk may be full" in (await moon.order("account/a", "status"))["error"]
        full = False  # somebody made room
        assert await moon.ask("account/a", Deposit(3), timeout=10) == 6
        assert await moon.query("account/a", GetBalance()) == 6
        assert (await moon.order("account/a", "status"))["error"] == ""


@pytest.mark.parametrize("timeout", [0.5, 1.2])
async def test_a_mailbox_that_stores_nothing_is_told_from_a_server_that_hangs(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect() as moon, Host(moon, [account]):
        assert await moon.ask("account/a", Deposit(1)) == 1
        js = moon.bus._js
        publish = js.publish

        def silent(subject: str, data: bytes, *, timeout: float, **options: Any) -> Any:
            if ".cmd." not in subject:
                return publish(subject, data, timeout=timeout, **options)
            future = asyncio.get_running_loop().create_future()
            after = asyncio.get_running_loop().call_later
            after(min(timeout, 0.3), future.set_exception, NoAnswer("none"))
            return future

        monkeypatch.setattr(js, "publish", silent)
        with pytest.raises(Unknown, match=r"mailboxes stores nothing: its disk may be full.*room"):
            await moon.tell("account/a", Deposit(2), timeout=timeout)
