"""A client of docs/protocol.md alone: nats-py, JSON, and no import of Moonlet in what attaches."""

import asyncio
import json
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client as NatsClient

from moonlet.agents import Host, connect
from moonlet.core.ids import partition_of
from moonlet.streams import Topology, decode_envelope, encode_envelope
from moonlet.streams.queues.messages import message_id
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type
from tests.tools.tree import ROOT

VECTORS = json.loads((ROOT / "tests/vectors/commands.json").read_text())
PAGE = Path("docs/protocol.md")


def partition(key: str, partitions: int) -> int:
    """FNV-1a, in 32 bits."""
    value = 2166136261
    for octet in key.encode():
        value = (value ^ octet) * 16777619 & 0xFFFFFFFF
    return value % partitions


class Foreign:
    """What somebody writes who has read the page."""

    def __init__(self, nc: NatsClient, prefix: str, sender: str) -> None:
        self._nc = nc
        self._prefix = prefix
        self._sender = sender
        self._numbers: dict[str, int] = {}

    async def place(self, agent: str) -> tuple[str, int]:
        """The pool and the partition of an agent."""
        type_, key = agent.split("/", 1)
        bucket = await self._nc.jetstream().key_value(f"{self._prefix}-registry")
        entry = await bucket.get(f"type.{type_}")
        home = json.loads(entry.value or b"")
        return home["pool"], partition(key, home["slots"])

    def command(self, agent: str, name: str, body: Any, reply: str = "") -> dict[str, Any]:
        """The next command to an agent."""
        number = self._numbers[agent] = self._numbers.get(agent, 0) + 1
        made = {"id": f"{self._sender}.{agent.replace('/', '.')}.{number}", "agent": agent,
                "name": name, "body": body, "sender": self._sender, "number": number}  # fmt: skip
        return {**made, "reply": reply} if reply else made

    async def put(
        self, command: dict[str, Any], data: bytes | None = None, protocol: str = ""
    ) -> None:
        """Publish until it is acknowledged; as JSON, unless `data` is given."""
        pool, slot = await self.place(command["agent"])
        type_, key = command["agent"].split("/", 1)
        subject = f"{self._prefix}.cmd.{pool}.{slot}.medium.{type_}.{key}"
        ids = f"{command['agent']}/{command['sender']}/medium/{command['number']}"
        headers = {"Nats-Msg-Id": ids} | ({"Moonlet-Protocol": protocol} if protocol else {})
        data = data or json.dumps(command).encode()
        await self._nc.jetstream().publish(subject, data, headers=headers)

    async def ask(self, agent: str, name: str, body: Any) -> Any:
        """Put a command, and wait for its answer."""
        inbox = self._nc.new_inbox()
        waiting = await self._nc.subscribe(inbox)
        await self.put(self.command(agent, name, body, inbox))
        answer = await waiting.next_msg(timeout=10)
        await waiting.unsubscribe()
        return json.loads(answer.data)

    async def request(self, service: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """A query, or a look for an outcome."""
        pool, slot = await self.place(body["agent"])
        subject = f"{self._prefix}.{service}.{pool}.{slot}.{body['agent'].split('/')[0]}"
        answer = await self._nc.request(
            subject, json.dumps(body).encode(), timeout=10, headers=headers
        )
        return json.loads(answer.data)


async def test_a_client_of_the_page_alone_tells_asks_queries_and_reads(
    shared_server: ServerProcess, name: str
) -> None:
    nc = await nats.connect(shared_server.url)
    async with (
        connect(shared_server.url, topology=Topology(prefix=name)) as moon,
        Host(moon, [account_type()]),
    ):
        await moon.ask("account/beside", Deposit(1))
        client = Foreign(nc, name, "c-foreign")
        told: dict[str, Any] = await client.ask("account/alice", "Deposit", {"amount": 5})
        assert (told["outcome"], told["reply"], told["revision"]) == ("accepted", 5, 1)
        refused = await client.ask("account/alice", "Deposit", {"amount": 0})
        assert refused["outcome"] == "rejected" and "positive" in refused["reason"]
        third = client.command("account/alice", "Deposit", {"amount": 2})
        for _ in range(3):  # as one does who had no acknowledgement
            await client.put(third)
        found: dict[str, Any] = {"outcome": "waiting"}
        keys = ("agent", "id", "sender", "number")
        while found["outcome"] == "waiting":
            found = await client.request("outcome", {key: third[key] for key in keys})
            await asyncio.sleep(0)
        assert (found["outcome"], found["reply"], found["revision"]) == ("accepted", 7, 3)
        asked = {"agent": "account/alice", "name": "GetBalance", "body": {}}
        assert (await client.request("query", asked))["reply"] == 7
        history = await nc.jetstream().subscribe(f"{name}.evt.account.alice", ordered_consumer=True)
        names = [json.loads((await history.next_msg(timeout=10)).data) for _ in range(3)]
        assert [each["command"]["id"] for each in names][-1] == third["id"]
        assert (await moon.state("account/alice")).balance == 7
    await nc.close()


async def test_another_version_and_keys_that_stand_twice_are_refused_in_words(
    shared_server: ServerProcess, name: str
) -> None:
    nc = await nats.connect(shared_server.url)
    async with (
        connect(shared_server.url, topology=Topology(prefix=name)) as moon,
        Host(moon, [account_type()]),
    ):
        await moon.ask("account/beside", Deposit(1))
        client = Foreign(nc, name, "c-foreign")

        async def outcome(protocol: str, change: tuple[bytes, bytes] = (b"", b"")) -> Any:
            """What is answered to the next command, after a change of its bytes."""
            inbox = nc.new_inbox()
            waiting = await nc.subscribe(inbox)
            command = client.command("account/alice", "Deposit", {"amount": 5}, inbox)
            compact = json.dumps(command, separators=(",", ":")).encode()
            await client.put(command, compact.replace(*change), protocol)
            return json.loads((await waiting.next_msg(timeout=10)).data)

        assert (await outcome("1.0"))["outcome"] == (await outcome("1.9"))["outcome"] == "accepted"
        newer = await outcome("2.0")
        assert newer["outcome"] == "parked" and "upgrade Moonlet" in newer["reason"]
        asked = {"agent": "account/alice", "name": "GetBalance", "body": {}}
        assert (await client.request("query", asked, {"Moonlet-Protocol": "1.3"}))["reply"] == 10
        refused = await client.request("query", asked, {"Moonlet-Protocol": "2.0"})
        assert refused["outcome"] == "failed" and "protocol 2.0" in refused["reason"]
        for change in (
            (b'"amount":5', b'"amount":5,"amount":50'),
            (b'"name":"Deposit"', b'"name":"Deposit","name":"Deposit"'),
        ):
            command = client.command("account/alice", "Deposit", {"amount": 5})
            compact = json.dumps(command, separators=(",", ":")).encode()
            await client.put(command, compact.replace(*change))
        last = await client.ask("account/alice", "Deposit", {"amount": 1})
        assert (last["outcome"], last["reply"]) == ("accepted", 11)
        commits = [commit async for commit in moon.history("account/alice")]
        assert [c.outcome for c in commits[-4:]] == ["parked", "parked", "parked", "accepted"]
        assert all("stands twice" in c.reason for c in commits[-3:-1])
    await nc.close()


@pytest.mark.parametrize("key", list(VECTORS[0]["partitions"]))
def test_a_partition_is_what_the_page_says(key: str) -> None:
    count, wanted = VECTORS[0]["partitions"][key]
    assert partition(key, count) == partition_of(key, count) == wanted


def test_the_bytes_of_the_page_are_those_that_are_sent() -> None:
    vector = VECTORS[1]
    envelope, encoding = decode_envelope(vector["bytes"].encode(), None)
    assert encoding == "json"
    assert encode_envelope(envelope, "json", 1_000_000)[0] == vector["bytes"].encode()
    assert message_id(envelope) == vector["message_id"]
    assert vector["bytes"] in (ROOT / PAGE).read_text()
