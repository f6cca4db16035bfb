"""`moonlet topology`, and the settings that the first host is told."""

import asyncio

import pytest

from moonlet.agents import Host, connect
from moonlet.streams import Topology, stored_topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import account_type
from tests.console.support import invoke


def host_once(url: str, topology: Topology) -> None:
    async def main() -> None:
        async with connect(url, topology=topology) as moon, Host(moon, [account_type()]):
            pass

    asyncio.run(main())


async def stored(url: str, prefix: str) -> Topology | None:
    async with connect(url, topology=Topology(prefix=prefix)) as moon:
        return await stored_topology(moon.bus)


def test_show_plan_and_apply_tell_and_change_what_was_asked_for(
    shared_server: ServerProcess, name: str
) -> None:
    url = shared_server.url
    at = ("--url", url, "--prefix", name)
    shown = invoke("topology", "show", "--json", *at)
    assert shown.code == 0 and shown.records[0]["stored"] is False
    assert shown.records[0]["streams"] == {}
    host_once(url, Topology(prefix=name, mailbox=5))
    shown = invoke("topology", "show", "--json", *at)
    (record,) = shown.records
    assert (record["stored"], record["mailbox"], record["replicas"]) == (True, 5, 1)
    assert record["journals"] == {"main": ["*"]}
    assert record["streams"][f"{name}-journal-main"]["alive"] == 1
    assert "5 commands of an agent and lane" in invoke("topology", "show", *at).out

    planned = invoke("topology", "plan", "--json", "--mailbox", "9", *at)
    assert [r["action"] for r in planned.records] == ["update"]
    assert asyncio.run(stored(url, name)) == Topology(prefix=name, mailbox=5)
    applied = invoke("topology", "apply", "--json", "--mailbox", "9", *at)
    assert applied.code == 0 and applied.records == planned.records
    assert asyncio.run(stored(url, name)) == Topology(prefix=name, mailbox=9)
    again = invoke("topology", "apply", *at)
    assert again.code == 0 and again.out == ""


def test_what_can_not_be_is_one_line_and_changes_nothing(
    shared_server: ServerProcess, name: str
) -> None:
    at = ("--url", shared_server.url, "--prefix", name)
    host_once(shared_server.url, Topology(prefix=name))
    for wrong in (
        ("--replicas", "3"),
        ("--replicas", "0"),
        ("--mailbox", "0"),
        ("--journal", "nonsense"),
        ("--journal", "a=x", "--journal", "b=x"),
    ):
        ended = invoke("topology", "apply", "--json", *wrong, *at)
        assert ended.code == 2, (wrong, ended.out, ended.err)
        assert "Traceback" not in ended.err
    assert asyncio.run(stored(shared_server.url, name)) == Topology(prefix=name)


def test_the_prefix_is_an_option_and_a_variable(
    shared_server: ServerProcess, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_once(shared_server.url, Topology(prefix=name, mailbox=5))
    monkeypatch.setenv("MOONLET_PREFIX", name)
    by_variable = invoke("topology", "show", "--json", "--url", shared_server.url)
    assert by_variable.records[0]["mailbox"] == 5
    agents = invoke("agents", "--url", shared_server.url, "--prefix", "a.b")
    assert agents.code == 2 and "prefix" in agents.err
