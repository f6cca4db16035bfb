"""`moonlet top` and `moonlet alerts now|ack|silence`: what hosts tell, and what is made of it."""

import asyncio
from typing import Any

import msgspec
import pytest

from moonlet.agents import AlertWatch, Host, HostEar, Mute, connect, gather, host_topics
from moonlet.console.top.reading import Look, command_rows, host_rows, type_rows
from moonlet.console.top.showing import TopLook, screen, size, span
from moonlet.core.errors import Invalid
from moonlet.streams import ServerLoad, Topology, server_load
from moonlet.streams.server.server_process import ServerProcess
from moonlet.telemetry.metrics import Family, Histogram, families_of, family, plain_families
from tests.agents.accounts import Deposit, Fail, account_type


def metrics(commits: int, rejected: int, seconds: list[float], cpu: float) -> list[Family]:
    times = Histogram()
    for each in seconds:
        times.observe(each)
    of = {"type": "account"}
    return [
        family("moonlet_commits_total", "counter", "", ({**of, "outcome": "accepted"}, commits),
               ({**of, "outcome": "rejected"}, rejected)),
        family("moonlet_command_seconds", "histogram", "", ({**of, "command": "Deposit"}, times)),
        family("moonlet_command_wait_seconds", "histogram", "", ({**of, "lane": "low"}, times)),
        family("moonlet_agents", "gauge", "", ({**of, "status": "running"}, 3),
               ({**of, "status": "stopped"}, 1)),
        family("process_cpu_seconds_total", "counter", "", ({}, cpu)),
    ]  # fmt: skip


def test_rates_and_times_are_those_between_two_looks() -> None:
    before: Look = {"h-1": metrics(100, 10, [5.0] * 100, 1.0)}
    now: Look = {
        "h-1": metrics(300, 20, [5.0] * 100 + [0.001] * 99 + [0.2], 2.0),
        "h-2": metrics(1_000_000, 0, [9.0], 900.0),
    }
    (row,) = type_rows(before, now, 2.0)
    assert (row.type, row.commands, row.rejected) == ("account", 105.0, 5.0)
    assert row.agents == 8 and row.busy == pytest.approx(0.1495)
    assert row.handler.p50 is not None and row.handler.p99 is not None
    assert row.handler.p50 <= 0.001 and row.handler.p99 <= 0.25
    (command,) = command_rows(before, now, 2.0)
    assert (command.command, command.commands) == ("Deposit", 50.0)
    one, two = host_rows(before, now, 2.0)
    assert one.cpu == pytest.approx(0.5) and two.cpu is None and two.commands == 0
    quiet = type_rows(now, now, 2.0)[0]
    assert quiet.commands == 0 and quiet.handler.p99 is None


def test_a_host_that_began_anew_counts_from_nothing() -> None:
    before: Look = {"h-1": metrics(100, 0, [5.0] * 100, 5.0)}
    now: Look = {"h-1": metrics(4, 0, [0.001] * 4, 0.1)}
    (row,) = type_rows(before, now, 1.0)
    assert row.commands == 0 and row.handler.p99 is not None and row.handler.p99 <= 0.001
    assert type_rows({}, {}, 1.0) == [] and host_rows({}, {}, 1.0) == []


def test_metrics_come_back_from_a_message_and_odd_ones_are_refused() -> None:
    told = metrics(1, 2, [0.1, 400.0], 3.0)
    back = families_of(msgspec.json.decode(msgspec.json.encode(plain_families(told))))
    assert [(f.name, f.kind, f.total) for f in back] == [(f.name, f.kind, f.total) for f in told]
    plain: list[Any] = msgspec.json.decode(msgspec.json.encode(plain_families(told)))
    plain[1]["samples"][0]["counts"] = [1, 2]
    odds: list[Any] = [plain, [{"name": 1}], {"a": 1}, [[]], None]
    for odd in odds:
        with pytest.raises(Invalid, match="one version"):
            families_of(odd)


def test_the_screen_is_text_whatever_is_missing() -> None:
    before, now = {"h-1": metrics(1, 0, [0.1], 1.0)}, {"h-1": metrics(9, 0, [0.1] * 9, 1.5)}
    standing = TopLook(
        "2026-12-01T15:00:00Z", 2.0, ServerLoad(), None, type_rows(before, now, 2.0) * 5,
        command_rows(before, now, 2.0), host_rows(before, now, 2.0),
        ["critical server-away on h-1: gone"], ["host h-2 did not answer in time"],
    )  # fmt: skip
    text = screen(standing, 3)
    assert "! critical server-away" in text and "2 types more" in text and "h-2 did not" in text
    assert "server: no monitoring page" in text and "account" in text
    load = ServerLoad(2**31, 2**40, True, 3, 1, 12.0, 5, "2.15.1")
    full = screen(msgspec.structs.replace(standing, server=load, disk_free=5), 3)
    assert "fsync, 2.0 GiB of 1.0 TiB stored" in full and "1 SLOW CONSUMERS" in full
    assert [span(each) for each in (None, 0.0000051, 0.0123, 2.0)] == [
        "–",
        "5 µs",
        "12.3 ms",
        "2 s",
    ]
    assert size(1_000) == "1000 B" and size(2**42) == "4.0 TiB"


async def test_a_host_tells_its_figures_and_is_told_who_looks_into_an_alert(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type(partitions=1)
    called: list[str] = []

    async def call(_: str, changes: Any) -> None:
        called.extend(change.what for change in changes)

    async with (
        connect(shared_server.url, agents=[account], topology=Topology(prefix=name)) as moon,
        Host(moon, [account], metrics=True) as host,
        AlertWatch(host, actions=[call]) as watch,
        HostEar(moon.bus, lambda: host.id, host_topics(host, watch)),
    ):

        async def told(topic: str, question: Any = None) -> tuple[list[Any], list[str]]:
            data = msgspec.json.encode(question) if question is not None else b""
            answer = await gather(moon.bus, topic, data, hosts=[host.id])
            return answer.items[host.id], answer.troubles

        before = {host.id: families_of((await told("figures"))[0])}
        await moon.ask("account/a", Deposit(1))
        watch.look()
        receipt = await moon.tell("account/a", Fail("on purpose"))
        await receipt.committed()
        watch.look()
        now = {host.id: families_of((await told("figures"))[0])}
        (row,) = type_rows(before, now, 1.0)
        assert (row.commands, row.parked, row.agents) == (2.0, 1.0, 1)
        assert {each.command for each in command_rows(before, now, 1.0)} == {"Deposit", "Fail"}
        assert host_rows(before, now, 1.0)[0].cpu is not None
        items, _ = await told("alerts")
        firing = [(item["is"], item["rule"]) for item in items]
        assert firing == [("firing", "commands-parked"), ("change", "commands-parked")]
        done, troubles = await told("mute", Mute("commands-parked", "ack", "ann"))
        assert done == [{"is": "ack", "rule": "commands-parked"}] and not troubles
        await told("mute", Mute("slow-handler", "silence", "bob", 60.0))
        assert watch.judge.silences["slow-handler"].by == "bob"
        items, _ = await told("alerts")
        assert items[0]["acknowledged"] == "ann" and items[-1]["what"] == "acknowledged"
        for wrong in (
            Mute("server-away", "ack", "ann"),
            Mute("nothing", "silence", "ann", 1.0),
            Mute("server-away", "silence", "ann", 1e9),
            {"rule": "server-away", "do": "delete", "by": "ann"},
            {"rule": "", "do": "ack", "by": ""},
        ):
            done, troubles = await told("mute", wrong)
            assert done == [] and len(troubles) == 1, wrong
        async with asyncio.timeout(10):
            while not called:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # sleeps: between two looks
        assert called == ["fires"]


async def test_the_server_tells_its_load_where_it_has_a_page(shared_server: ServerProcess) -> None:
    async with connect(shared_server.url) as moon:
        load = await server_load(moon.bus, shared_server.monitoring_url)
        assert load.fsync is False and load.stored is not None and load.slow_consumers == 0
        assert load.version and load.memory and load.connections
        assert (await server_load(moon.bus)).fsync is None, "it is no system user"
        assert (await server_load(moon.bus, "http://127.0.0.1:1")).fsync is None
