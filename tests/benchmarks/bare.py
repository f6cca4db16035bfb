"""The baseline: the least nats-py loop that publishes, pulls, commits and acknowledges.

One message a command and one a commit, of the same size, with the same headers, into streams of
the same configuration. It has no state but balances and last sequences, recovers nothing, checks
nothing, and handles no error. Publishes go through `nc.publish` with one inbox for all
acknowledgements and pulls are raw requests into one inbox: the fastest that nats-py does.
"""

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.benchmarks.world import WINDOW, World, sizes

PULL = 512
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
DIGEST = "0" * 32


class Command(msgspec.Struct):
    id: str
    agent: str
    name: str
    amount: int
    reply: str = ""
    pad: str = ""


class Event(msgspec.Struct):
    command: str
    agent: str
    name: str
    amount: int
    balance: int
    pad: str = ""


class Ack(msgspec.Struct):
    seq: int


_encode = msgspec.json.Encoder().encode
_decode_command = msgspec.json.Decoder(Command).decode
_decode_ack = msgspec.json.Decoder(Ack).decode

_COMMAND_SIZE, _COMMIT_SIZE = sizes()
COMMAND_PAD = "x" * (_COMMAND_SIZE - len(_encode(Command("c12345", "a500", "Deposit", 5, "", ""))))
EVENT_PAD = "x" * (_COMMIT_SIZE - len(_encode(Event("c1234", "a500", "Deposited", 5, 50, ""))))


class BareHost:
    """Pulls commands, commits each by compare-and-set, answers, acknowledges.

    One append of an agent is in flight at most; with `batches` what waits goes as one atomic batch
    of one message a command, over all agents; singly otherwise.
    """

    def __init__(self, world: World, prefix: str, *, batches: bool = False) -> None:
        self._nc: Client = world.nc
        self._world = world
        self._prefix = prefix
        self._batches = batches
        self._balance: dict[str, int] = defaultdict(int)
        self._last: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, list[Msg]] = {}
        self._flying: dict[str, list[tuple[Msg, Command]]] = {}
        self._number = 0
        self._ready: list[Msg] = []
        self._batch: list[tuple[Msg, Command]] = []
        self._flush_scheduled = False
        self._credit = 0
        self._stream = f"{prefix}-mailboxes"

    async def start(self) -> None:
        await self._world.api(
            f"CONSUMER.CREATE.{self._stream}.host",
            {
                "stream_name": self._stream,
                "config": {
                    "name": "host",
                    "durable_name": "host",
                    "ack_policy": "explicit",
                    "max_ack_pending": -1,
                },
            },
        )
        nc = self._nc
        self._inbox = nc.new_inbox()
        self._acks = nc.new_inbox()
        on_ack = self._on_batch if self._batches else self._on_commit
        self._subscriptions = [
            await nc.subscribe(f"{self._acks}.*", cb=on_ack, pending_msgs_limit=-1),
            await nc.subscribe(self._inbox, cb=self._on_command, pending_msgs_limit=-1),
        ]
        self._request = _encode({"batch": PULL, "expires": 30 * 10**9})
        await self._pull()
        await self._pull()

    async def stop(self) -> None:
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    async def _pull(self) -> None:
        self._credit += PULL
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.host"
        await self._nc.publish(subject, self._request, reply=self._inbox)

    async def _on_command(self, message: Msg) -> None:
        if not message.reply:
            return
        self._credit -= 1
        if self._credit <= PULL:
            await self._pull()
        if self._batches:
            self._ready.append(message)
            if not self._batch and not self._flush_scheduled:
                self._flush_scheduled = True
                asyncio.get_running_loop().call_soon(self._flush)
            return
        agent = message.subject.rpartition(".")[2]
        waiting = self._waiting.get(agent)
        if waiting is None:
            self._waiting[agent] = []
            await self._commit(agent, message)
        else:
            waiting.append(message)

    async def _commit(self, agent: str, message: Msg) -> None:
        command = _decode_command(message.data)
        self._flying[agent] = [(message, command)]
        headers = {"Moonlet-Digest": DIGEST, EXPECTED: str(self._last[agent])}
        await self._nc.publish(
            f"{self._prefix}.evt.account.{agent}",
            self._event(command),
            reply=f"{self._acks}.{agent}",
            headers=headers,
        )

    def _event(self, command: Command) -> bytes:
        agent = command.agent
        balance = self._balance[agent] = self._balance[agent] + command.amount
        return _encode(Event(command.id, agent, "Deposited", command.amount, balance, EVENT_PAD))

    async def _on_commit(self, ack: Msg) -> None:
        agent = ack.subject.rpartition(".")[2]
        self._last[agent] = _decode_ack(ack.data).seq
        message, command = self._flying.pop(agent)[0]
        if command.reply:
            await self._nc.publish(command.reply, b"%d" % self._balance[agent])
        await self._nc.publish(message.reply, b"")
        waiting = self._waiting[agent]
        if waiting:
            await self._commit(agent, waiting.pop(0))
        else:
            del self._waiting[agent]

    # group commit

    def _flush(self) -> None:
        self._flush_scheduled = False
        taken, self._ready = self._ready[:1000], self._ready[1000:]
        self._batch = [(message, _decode_command(message.data)) for message in taken]
        self._task = asyncio.get_running_loop().create_task(self._send_batch())

    async def _send_batch(self) -> None:
        self._number += 1
        count = len(self._batch)
        seen: set[str] = set()
        for index, (_, command) in enumerate(self._batch, 1):
            headers = {"Moonlet-Digest": DIGEST}
            if count > 1:
                headers["Nats-Batch-Id"] = f"{self._prefix}-{self._number}"
                headers["Nats-Batch-Sequence"] = str(index)
            if command.agent not in seen:
                seen.add(command.agent)
                headers[EXPECTED] = str(self._last[command.agent])
            reply = ""
            if index == count:
                if count > 1:
                    headers["Nats-Batch-Commit"] = "1"
                reply = f"{self._acks}.{self._number}"
            await self._nc.publish(
                f"{self._prefix}.evt.account.{command.agent}",
                self._event(command),
                reply=reply,
                headers=headers,
            )

    async def _on_batch(self, ack: Msg) -> None:
        batch, self._batch = self._batch, []
        sequence = _decode_ack(ack.data).seq - len(batch)
        for message, command in batch:
            sequence += 1
            self._last[command.agent] = sequence
            if command.reply:
                await self._nc.publish(command.reply, b"%d" % self._balance[command.agent])
            await self._nc.publish(message.reply, b"")
        if self._ready:
            self._flush()


class BareClient:
    """Publishes commands, as many as the window at a time; done when all are durable."""

    def __init__(self, world: World, prefix: str, agents: int) -> None:
        self._nc: Client = world.nc
        self._prefix = prefix
        self._agents = agents

    async def send_all(self, count: int) -> None:
        nc = self._nc
        inbox = nc.new_inbox()
        done = asyncio.get_running_loop().create_future()
        sent = stored = 0

        async def send() -> None:
            nonlocal sent
            agent, id = f"a{sent % self._agents}", f"c{sent}"
            sent += 1
            await self.put(agent, id, f"{inbox}.{id}")

        async def on_stored(ack: Msg) -> None:
            nonlocal stored
            assert _decode_ack(ack.data).seq
            stored += 1
            if sent < count:
                await send()
            elif stored == count:
                done.set_result(None)

        subscription = await nc.subscribe(f"{inbox}.*", cb=on_stored, pending_msgs_limit=-1)
        for _ in range(min(WINDOW, count)):
            await send()
        await done
        await subscription.unsubscribe()

    async def put(self, agent: str, id: str, ack: str, reply: str = "") -> None:
        """Publish one command, to be acknowledged at `ack` and answered at `reply`."""
        data = _encode(Command(id, agent, "Deposit", 5, reply, COMMAND_PAD))
        await self._nc.publish(
            f"{self._prefix}.cmd.account.0.medium.{agent}",
            data,
            reply=ack,
            headers={"Nats-Msg-Id": f"account/{agent}/c-{DIGEST[:22]}/{id}"},
        )


async def publish_singly(world: World, prefix: str, agents: int, count: int) -> None:
    """`count` commits in memory to the journal, each its own publish, one in flight per agent."""
    nc = world.nc
    inbox = nc.new_inbox()
    done = asyncio.get_running_loop().create_future()
    last = [0] * agents
    left = [count // agents] * agents
    acknowledged = 0

    async def send(agent: int) -> None:
        left[agent] -= 1
        event = Event("c1234", f"a{agent}", "Deposited", 5, 50, EVENT_PAD)
        await nc.publish(
            f"{prefix}.evt.account.a{agent}",
            _encode(event),
            reply=f"{inbox}.{agent}",
            headers={"Moonlet-Digest": DIGEST, EXPECTED: str(last[agent])},
        )

    async def on_ack(ack: Msg) -> None:
        nonlocal acknowledged
        agent = int(ack.subject.rpartition(".")[2])
        last[agent] = _decode_ack(ack.data).seq
        acknowledged += 1
        if left[agent]:
            await send(agent)
        elif acknowledged == agents * (count // agents):
            done.set_result(None)

    subscription = await nc.subscribe(f"{inbox}.*", cb=on_ack, pending_msgs_limit=-1)
    for agent in range(agents):
        await send(agent)
    await done
    await subscription.unsubscribe()


async def publish_batches(world: World, prefix: str, agents: int, count: int) -> None:
    """The same in atomic batches of one commit of every agent, one batch after the other."""
    nc = world.nc
    last = [0] * agents
    for batch in range(count // agents):
        ack: Any = None
        for agent in range(agents):
            event = Event("c1234", f"a{agent}", "Deposited", 5, 50, EVENT_PAD)
            headers = {
                "Moonlet-Digest": DIGEST,
                EXPECTED: str(last[agent]),
                "Nats-Batch-Id": f"{prefix}-{batch}",
                "Nats-Batch-Sequence": str(agent + 1),
            }
            subject = f"{prefix}.evt.account.a{agent}"
            if agent < agents - 1:
                await nc.publish(subject, _encode(event), headers=headers)
            else:
                headers["Nats-Batch-Commit"] = "1"
                ack = await nc.request(subject, _encode(event), headers=headers, timeout=10)
        sequence = _decode_ack(ack.data).seq - agents
        for agent in range(agents):
            sequence += 1
            last[agent] = sequence
