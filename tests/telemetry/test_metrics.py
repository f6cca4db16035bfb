"""Metrics: what is written is what Prometheus reads, and what hosts tell is true."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.agents import Host, HostPages, connect
from moonlet.agents.hosting import figures
from moonlet.core.errors import InvalidSettings, MoonletError, Unavailable
from moonlet.streams.server.server_process import ServerProcess
from moonlet.telemetry.metrics import BOUNDS, Endpoint, Histogram, PageText, exposition, family
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, account_type
from tests.telemetry.scraped import Scraped, fetch, parsed


def test_what_is_written_is_read_back_whatever_the_labels_hold() -> None:
    times = Histogram()
    for seconds in (0.0, 0.000_05, 0.3, 1_000.0, -1.0):
        times.observe(seconds)
    nasty = 'a"b\\c\nd,e}=ü'
    text = exposition(
        [
            family("n_total", "counter", "back\\slash\nand line", ({"of": nasty}, 3)),
            family("g", "gauge", "g", ({}, 0.5)),
            family("none", "gauge", "left out"),
            family("t_seconds", "histogram", "t", ({"of": "x"}, times)),
        ]
    )
    found = parsed(text)
    assert found.value("n_total", of=nasty) == 3 and found.value("g") == 0.5
    assert "none" not in found.types
    assert found.types["t_seconds"] == "histogram"
    assert found.value("t_seconds_bucket", of="x", le="1e-05") == 2
    assert found.value("t_seconds_bucket", of="x", le="5e-05") == 3, "a bound is inclusive"
    assert found.value("t_seconds_bucket", of="x", le="300.0") == 4
    assert found.value("t_seconds_bucket", of="x", le="+Inf") == 5
    assert found.value("t_seconds_count", of="x") == 5


@given(st.lists(st.floats(0, 200), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_step_of_the_true_one(values: list[float], q: float) -> None:
    times = Histogram()
    for value in values:
        times.observe(value)
    ordered = sorted(values)
    true = ordered[min(len(ordered) - 1, max(0, -(-int(q * 100 * len(ordered)) // 100) - 1))]
    place = next(place for place, bound in enumerate(BOUNDS) if true <= bound)
    low = BOUNDS[place - 1] if place else 0.0
    assert low <= times.quantile(q) <= BOUNDS[place] + 1e-12
    assert Histogram().quantile(q) == 0.0


@pytest.fixture
async def page() -> Any:
    def broken() -> PageText:
        raise ValueError("no page")

    endpoint = Endpoint({"/a": lambda: PageText(200, "text/plain", "ä"), "/broken": broken}, 0)
    await endpoint.start()
    yield endpoint
    await endpoint.close()
    await endpoint.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /a HTTP/1.1\r\nHost: localhost:9\r\n\r\n", 200),
        (b"GET /a?x=1 HTTP/1.0\r\n\r\n", 200),
        (b"HEAD /a HTTP/1.1\r\n\r\n", 200),
        (b"GET /b HTTP/1.1\r\n\r\n", 404),
        (b"POST /a HTTP/1.1\r\n\r\n", 405),
        (b"GET /a HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET /a HTTP/1.1\r\nHost: localhost.evil.example:80\r\n\r\n", 421),
        (b"\x00\xff\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
    ],
)
async def test_whatever_is_asked_is_answered_and_the_next_one_too(
    page: Endpoint, sent: bytes, status: int
) -> None:
    got, text = await fetch(page.address, sent)
    assert got == status
    if sent.startswith(b"HEAD"):
        assert text == ""
    assert await fetch(page.address, b"GET /a HTTP/1.1\r\n\r\n") == (200, "ä")


async def test_many_who_say_nothing_keep_nobody_out_for_long(
    page: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.telemetry.metrics.endpoint.HEAD_SECONDS", 0.2)
    port = int(page.address.rpartition(":")[2])
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
    try:
        for reader, _ in silent:
            assert await asyncio.wait_for(reader.read(), 10) == b""
        assert (await fetch(page.address, b"GET /a HTTP/1.1\r\n\r\n"))[0] == 200
    finally:
        for _, writer in silent:
            writer.close()


async def test_a_port_that_is_taken_or_none_is_said(page: Endpoint) -> None:
    port = int(page.address.rpartition(":")[2])
    with pytest.raises(Unavailable, match="choose another"):
        await Endpoint({}, port).start()
    for bad in (-1, 65_536, True, "9"):
        with pytest.raises(InvalidSettings, match="port"):
            Endpoint({}, bad)  # type: ignore[arg-type]


async def test_a_host_tells_what_it_did_and_no_keys(moon_server: MoonServer) -> None:
    account = account_type(partitions=2)
    async with (
        moon_server.connect(agents=[account]) as moon,
        Host(moon, [account], metrics=True) as host,
        HostPages(host, 0) as pages,
    ):
        for key in ("secret-key-1", "secret-key-2"):
            for _ in range(3):
                await moon.ask(f"account/{key}", Deposit(5))
        with pytest.raises(MoonletError):
            await moon.ask("account/secret-key-1", Deposit(-1))
        status, text = await fetch(pages.address, b"GET /metrics HTTP/1.1\r\n\r\n")
        found = parsed(text)
        assert status == 200 and "secret-key" not in text
        assert found.value("moonlet_commits_total", type="account", outcome="accepted") == 6
        assert found.value("moonlet_commits_total", type="account", outcome="rejected") == 1
        of_deposits = {"type": "account", "command": "Deposit"}
        assert found.value("moonlet_command_seconds_count", **of_deposits) == 7
        waits = {"type": "account", "lane": "medium"}
        assert found.value("moonlet_command_wait_seconds_count", **waits) == 7
        assert found.value("moonlet_command_wait_seconds_sum", **waits) < 60
        assert found.value("moonlet_agents", type="account", status="running") == 2
        assert found.value("moonlet_partition_owned", type="account", partition="1") == 1
        assert found.value("moonlet_mailbox_waiting", type="account") == 0
        assert found.value("moonlet_server_connected") == 1
        assert 0 < found.value("moonlet_lease_seconds_left") <= 5
        assert any(name == "moonlet_append_seconds_count" for name, _ in found.values)
        for path in ("/health", "/ready"):
            status, text = await fetch(pages.address, f"GET {path} HTTP/1.1\r\n\r\n".encode())
            assert status == 200 and json.loads(text)["ok"] is True


async def test_every_metric_says_what_it_is_in_a_name_as_prometheus_wants_it(
    moon_server: MoonServer,
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon:
        async with Host(moon, [account], metrics=True) as host:
            for found in figures(host):
                assert found.help.endswith("."), found.name
                assert (found.kind == "counter") == found.name.endswith("_total"), found.name
                assert (found.kind == "histogram") <= found.name.endswith("_seconds"), found.name
        async with Host(moon, [account]) as host:
            names = {found.name for found in figures(host)}
            assert "moonlet_commits_total" not in names, "nobody counts without metrics"
            assert "moonlet_agents" in names


async def test_a_host_whose_server_was_killed_is_not_ready_and_healthy_again_after(
    own_server: ServerProcess,
) -> None:
    account = account_type(partitions=1)
    async with (
        connect(own_server.url, agents=[account]) as moon,
        Host(moon, [account], lease=1, metrics=True) as host,
        HostPages(host, 0) as pages,
    ):
        await moon.ask("account/a", Deposit(1))
        own_server.kill()

        async def ready() -> tuple[int, Any]:
            status, text = await fetch(pages.address, b"GET /ready HTTP/1.1\r\n\r\n")
            return status, json.loads(text)

        _, told = await _until(ready, lambda got: got[0] == 503)
        assert told["reasons"], told
        assert (await fetch(pages.address, b"GET /health HTTP/1.1\r\n\r\n"))[0] == 200
        own_server.start()
        await _until(ready, lambda got: got[0] == 200)

        async def reconnects() -> float:
            _, text = await fetch(pages.address, b"GET /metrics HTTP/1.1\r\n\r\n")
            scraped: Scraped = parsed(text)
            return scraped.value("moonlet_reconnects_total")

        # Counted when the connection says so, which may be a moment after it is there.
        await _until(reconnects, lambda count: count >= 1)


async def _until(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    until = time.monotonic() + 30
    while True:
        got = await ask()
        if holds(got):
            return got
        assert time.monotonic() < until, got
        await asyncio.sleep(0.05)  # sleeps: between two looks
