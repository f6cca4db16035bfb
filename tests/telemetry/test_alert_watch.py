"""Alerts of hosts: in worlds with virtual time, on a real server, and who is called."""

import asyncio
import http.server
import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from moonlet.agents import AlertWatch, Host, HostPages, tell_agent
from moonlet.core.errors import InvalidSettings, MoonletError, Unavailable
from moonlet.simulations import World, faults, simulate
from moonlet.simulations.reference import reference
from moonlet.telemetry.alerts import RULES, AlertChange, changed_rules, webhook
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, Fail, account_type
from tests.simulations.worlds import ACCOUNT
from tests.telemetry.scraped import fetch


@pytest.fixture(autouse=True)
def metered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts of worlds count too."""
    monkeypatch.setitem(Host.__init__.__kwdefaults__, "metrics", True)  # type: ignore[arg-type]


@simulate(seeds=1, hosts=1, agents=[ACCOUNT], faults=faults.none(), horizon="1s")
async def test_an_alert_fires_and_clears_in_virtual_time(world: World) -> None:
    rules = changed_rules(RULES, {"commands-parked": {"window": 60}})
    called: list[AlertChange] = []

    async def call(_host: str, changes: Sequence[AlertChange]) -> None:
        called.extend(changes)

    async with world.client() as moon:
        await moon.ask("account/a", Deposit(1))
        host = next(process.host for process in world.hosts.values())
        assert host is not None
        async with AlertWatch(host, rules, [call]) as watch:
            await world.advance("10s")
            await moon.tell("account/a", Fail("on purpose"))
            await world.advance("10s")
            assert [(c.rule, c.what) for c in called] == [("commands-parked", "fires")]
            assert called[0].labels == [{"type": "account"}]
            await world.advance("45s")
            assert len(called) == 1, "told once"
            await world.advance("15s")
            assert [c.what for c in called] == ["fires", "cleared"]
            assert list(watch.judge.history) == called
    await world.settle()


def test_telemetry_changes_no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = [reference.run(seed).digest for seed in range(6)]
    monkeypatch.setitem(Host.__init__.__kwdefaults__, "metrics", False)  # type: ignore[arg-type]
    assert [reference.run(seed).digest for seed in range(6)] == with_it


async def test_a_parked_command_is_told_at_the_hosts_page_and_to_an_agent(
    moon_server: MoonServer,
) -> None:
    account = account_type(partitions=1)
    async with (
        moon_server.connect(agents=[account]) as moon,
        Host(moon, [account]) as host,
        AlertWatch(host, actions=[tell_agent(moon, "account/ops", lambda _: Deposit(7))]) as watch,
        HostPages(host, 0, watch) as pages,
    ):
        await moon.ask("account/a", Deposit(1))
        watch.look()
        with pytest.raises(MoonletError):
            await moon.ask("account/a", Fail("on purpose"))
        watch.look()
        status, text = await fetch(pages.address, b"GET /alerts HTTP/1.1\r\n\r\n")
        told = json.loads(text)
        assert status == 200 and told["firing"][0]["rule"] == "commands-parked", told
        assert told["history"][0]["what"] == "fires"
        watch.acknowledge("commands-parked", "ann")
        told = json.loads((await fetch(pages.address, b"GET /alerts HTTP/1.1\r\n\r\n"))[1])
        assert told["firing"][0]["acknowledged"] == "ann"
        until = time.monotonic() + 30
        while (await moon.state("account/ops")).balance != 7:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)  # sleeps: between two looks


async def test_an_action_that_fails_or_hangs_keeps_nobody_from_judging(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.agents.hosting.alert_watch.CALL_SECONDS", 0.05)
    account = account_type(partitions=1)
    called = asyncio.Event()

    async def fails(_host: str, changes: Sequence[AlertChange]) -> None:
        raise ValueError("no")

    async def hangs(_host: str, changes: Sequence[AlertChange]) -> None:
        await asyncio.Event().wait()

    async def works(_host: str, changes: Sequence[AlertChange]) -> None:
        called.set()

    async with (
        moon_server.connect(agents=[account]) as moon,
        Host(moon, [account]) as host,
        AlertWatch(host, actions=[fails, hangs, works]) as watch,
    ):
        watch.look()
        host.services.alarm("made up")
        assert [change.rule for change in watch.look()] == ["alarm"]
        await asyncio.wait_for(called.wait(), 30)


class Hook(http.server.BaseHTTPRequestHandler):
    taken: list[Any]
    statuses: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(json.loads(body))
        self.send_response(self.statuses.pop(0))
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[tuple[str, type[Hook]]]:
    kind = type("OneHook", (Hook,), {"taken": [], "statuses": [200] * 9})
    server = http.server.HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", kind
    server.shutdown()
    thread.join()
    server.server_close()


def change() -> AlertChange:
    rule = RULES[0]
    return AlertChange(
        rule.name, "fires", 1.0, rule.severity, 0, 1, 1, [{}], rule.meaning, rule.fix
    )


async def test_a_webhook_gets_json_and_another_try(hook: tuple[str, type[Hook]]) -> None:
    address, kind = hook
    kind.statuses[0] = 500
    await webhook(address)("h-1", [change()])
    assert len(kind.taken) == 2 and kind.taken[0] == kind.taken[1]
    assert kind.taken[0]["host"] == "h-1" and kind.taken[0]["alerts"][0]["rule"] == "server-away"


async def test_a_webhook_that_refuses_or_leads_elsewhere_is_an_error_in_words(
    hook: tuple[str, type[Hook]],
) -> None:
    address, kind = hook
    for status in (302, 404):
        kind.statuses[:2] = [status, status]
        with pytest.raises(Unavailable, match="webhook"):
            await webhook(address)("h-1", [change()])
    with pytest.raises(Unavailable, match="webhook"):
        await webhook("http://127.0.0.1:1/")("h-1", [change()])
    for bad in ("file:///etc/passwd", "ftp://x/", "x", "http://"):
        with pytest.raises(InvalidSettings, match="webhook"):
            webhook(bad)
