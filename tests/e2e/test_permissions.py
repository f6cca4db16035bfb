"""What only the server's permissions can stop, and do: the users of `docs/security.md`."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import PermissionDenied
from moonlet.core.ids import AgentId
from moonlet.streams import Bus, Home, Topology, may_publish
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, GetBalance, Transfer, account_type
from tests.tools import tree

PAGE = (tree.ROOT / "docs" / "security.md").read_text(encoding="utf-8")
[USERS] = re.findall(r"```text\n(authorization.*?)```", PAGE, flags=re.DOTALL)
"""The page's own configuration, so that it is true."""

A = AgentId("account", "a")


@pytest.fixture
def guarded(
    new_server: Callable[..., ServerProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with these users, and a context for each."""
    server = new_server(extra=USERS)
    contexts = tmp_path / "nats" / "context"
    contexts.mkdir(parents=True)
    for user in ("host", "client"):
        context = {
            "url": server.url,
            "user": user,
            "password": "secret",
            "inbox_prefix": f"_INBOX.{user}",
        }
        (contexts / f"{user}.json").write_text(json.dumps(context))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


async def test_a_client_of_few_rights_does_all_that_clients_do(guarded: None) -> None:
    account = account_type()
    async with (
        connect(context="host") as hosting,
        Host(hosting, [account]),
        connect(context="client", agents=[account]) as moon,
    ):
        assert await moon.ask(str(A), Deposit(5)) == 5
        receipt = await moon.tell(str(A), Transfer("account/b", 2), id="mine")
        assert (await receipt.committed()).revision == 2
        await moon.tell(str(A), Transfer("account/b", 2), id="mine")
        assert await moon.query(str(A), GetBalance()) == 3
        assert [c.revision async for c in moon.history(str(A))] == [1, 2]
        assert (await moon.state(str(A))).balance == 3


def attempts(bus: Bus) -> dict[str, str]:
    """What harms, and the subject that it takes."""
    subjects, home = bus.subjects, Home(4, "account")
    stream = bus.topology.journal_of("account")
    return {
        "write history": subjects.journal(A),
        "write a snapshot": subjects.snapshot(A),
        "speak as an agent": subjects.internal(A, "medium", home),
        "have a call run": subjects.call(A),
        "set a timer": subjects.timer(A, "x", 1),
        "fire a timer": subjects.fire(A, home),
        "write a large outcome": subjects.blob("x", 0),
        "park something": subjects.parked(A),
        "publish as an agent": subjects.topic("x"),
        "stop agents": subjects.owner("control", A, home),
        "frighten hosts": subjects.hosts(),
        "take a partition": f"$KV.{subjects.prefix}-leases.part.account.0",
        "pretend to be a host": f"$KV.{subjects.prefix}-leases.host.h-x-1",
        "register a type": f"$KV.{subjects.prefix}-registry.type.x",
        "delete a journal": f"$JS.API.STREAM.DELETE.{stream}",
        "purge a queue": f"$JS.API.STREAM.PURGE.{bus.topology.stream('mailboxes')}",
        "cut a journal": f"$JS.API.STREAM.UPDATE.{stream}",
        "take an owner's consumer": (
            f"$JS.API.CONSUMER.DELETE.{bus.topology.stream('mailboxes')}.account+p0-cmd-low-r1"
        ),
        "eat commands": (
            f"$JS.API.CONSUMER.CREATE.{bus.topology.stream('mailboxes')}.x.moon.cmd.>"
        ),
        "answer in an owner's stead": "_INBOX.host.x",
        "acknowledge in an owner's stead": "$JS.ACK.moon-mailboxes.x.1.1.1.1.1",
    }


async def test_a_client_of_few_rights_can_do_no_harm(guarded: None) -> None:
    async with (
        connect(context="host") as hosting,
        Host(hosting, [account_type()]),
        connect(context="client") as moon,
    ):
        assert await moon.ask(str(A), Deposit(5)) == 5
        for what, subject in attempts(moon.bus).items():
            with pytest.raises(PermissionDenied):
                await moon.bus.publish(subject, b"{}", timeout=5)
                pytest.fail(f"it could {what}")
        for subject in ("moon.>", "_INBOX.>", moon.bus.subjects.owner("query", A, Home(4, "x"))):
            with pytest.raises(PermissionDenied):
                await moon.bus.subscribe(subject, lambda message: None)
        assert await moon.ask(str(A), Deposit(5)) == 10


async def test_without_permissions_each_of_these_is_possible(
    shared_server: ServerProcess, name: str
) -> None:
    """The page says so; what changes here is to change there."""
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        for what, subject in attempts(moon.bus).items():
            if not subject.startswith("$JS.API"):  # these would be carried out
                assert await may_publish(moon.bus, subject), what
