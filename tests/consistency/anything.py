"""Clients that do anything at random, in any mixture: what nobody thought of has its chance.

The same in worlds and on real servers. Nothing is prepared: each step draws what is done next, to
which agent, by which client, and whether somebody else does the same, forges it, or gives up on it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from moonlet.agents import Client
from moonlet.core.errors import Conflict, Expired, MoonletError, Rejected
from moonlet.core.frontier import Frontier
from moonlet.core.ids import LANES, AgentId
from moonlet.projections import Replica
from moonlet.simulations import Dice
from tests.consistency.history import History, Operation
from tests.consistency.register import Append, AppendIf, Forward, Numbers, Read
from tests.consistency.sessions import Sessions

AGENTS = ("register/a", "register/b", "register/c")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

MENU: tuple[tuple[str, int], ...] = (
    ("ask", 6),
    ("ask_if", 3),
    ("tell", 3),
    ("read", 6),
    ("again", 2),
    ("reuse", 1),
    ("give_up", 2),
    ("late", 1),
    ("forward", 2),
    ("forge", 2),
    ("twice", 1),
    ("history", 2),
    ("state", 2),
    ("compare", 4),
    ("view", 3),
    ("pause", 2),
    ("stop", 1),
)
_DRAWN = tuple(what for what, weight in MENU for _ in range(weight))


class Anything:
    """What all clients of a run share. `exchanged`: they tell each other their tokens.

    `replica` gives the replica that is there now, or None.
    """

    def __init__(
        self,
        dice: Dice,
        clients: Sequence[Client],
        *,
        exchanged: bool,
        replica: Callable[[], Replica | None] = lambda: None,
        timeout: float = 5.0,
    ) -> None:
        self.history = History()
        self.sessions = Sessions()
        self.steps: dict[str, int] = {}
        self._dice = dice
        self._clients = clients
        self._exchanged = exchanged
        self._replica = replica
        self._timeout = timeout
        self._used: list[tuple[str, str]] = []
        self._viewed = Frontier()

    async def run(self, steps: int) -> None:
        """All clients at once, so many steps each."""
        async with asyncio.TaskGroup() as group:
            for number in range(len(self._clients)):
                group.create_task(self._client(number, steps))

    async def _client(self, number: int, steps: int) -> None:
        for _ in range(steps):
            what = self._dice.pick(_DRAWN)
            agent = self._dice.pick(AGENTS)
            self.steps[what] = self.steps.get(what, 0) + 1
            await getattr(self, f"_{what}")(number, agent)
            if self._dice.below(2):
                await asyncio.sleep(self._dice.below(120) / 1_000)

    def _moon(self, client: int) -> Client:
        """The client, which knows what it was told: in an exchange, all that anybody saw."""
        moon = self._clients[client]
        if self._exchanged:
            for other in self._clients:
                for stream, sequence in other.token.sequences.items():
                    moon.see(stream, sequence)
        return moon

    # commands

    def _command(self, client: int, agent: str, kind: str) -> tuple[Operation, Any]:
        number = self.history.number()
        if kind == "append_if":
            length = self.sessions.begin(client, agent) + self._dice.below(2)
            operation = self.history.begin(agent, client, "append_if", number=number, length=length)
            return operation, AppendIf(length, number)
        return self.history.begin(agent, client, "append", number=number), Append(number)

    async def _done(
        self, operation: Operation, asking: Awaitable[Any], *, end: bool = True
    ) -> None:
        """Wait for what is asked, and note what came of it: for what fails, that nobody knows."""
        try:
            numbers = await asking
        except Rejected as refusal:
            if "there are others" in str(refusal):
                self.history.end(operation, refused=True)
        except MoonletError:
            pass
        else:
            self.history.end(operation, numbers)
            self.sessions.wrote(operation.client, operation.agent, operation.number, numbers)

    async def _ask(self, client: int, agent: str, kind: str = "append") -> None:
        moon = self._moon(client)
        operation, command = self._command(client, agent, kind)
        lane = self._dice.pick(LANES)
        await self._done(operation, moon.ask(agent, command, lane=lane, timeout=self._timeout))

    async def _ask_if(self, client: int, agent: str) -> None:
        await self._ask(client, agent, "append_if")

    async def _tell(self, client: int, agent: str) -> None:
        moon = self._moon(client)
        operation, command = self._command(client, agent, "append")
        with contextlib.suppress(MoonletError):
            receipt = await moon.tell(agent, command, timeout=self._timeout)
            if self._dice.below(2):
                commit = await receipt.committed(self._timeout)
                assert commit.command.id == receipt.id
                if commit.outcome == "accepted":
                    self.history.end(operation)
                    self.sessions.wrote(client, agent, operation.number)

    async def _again(self, client: int, agent: str) -> None:
        """The same command under one id, by one client and perhaps by another at the same time."""
        operation, command = self._command(client, agent, "append")
        id = f"own-{operation.number}"
        self._used.append((agent, id))
        others = [client, client, self._dice.below(len(self._clients))]
        asked = [
            self._moon(other).ask(agent, command, id=id, timeout=self._timeout) for other in others
        ]
        told = await asyncio.gather(*asked, return_exceptions=True)
        answers = [numbers for numbers in told if isinstance(numbers, list)]
        assert all(numbers == answers[0] for numbers in answers), (id, answers)
        for problem in told:
            assert isinstance(problem, list | MoonletError), problem
            assert not isinstance(problem, Conflict), problem
        if answers:
            self.history.end(operation, answers[0])
            self.sessions.wrote(client, agent, operation.number, answers[0])

    async def _reuse(self, client: int, agent: str) -> None:
        """Another command under an id that was used: it is never carried out, if the first was."""
        settled = [(a, id) for a, id in self._used if self._is_known(a, id)]
        if not settled:
            return
        agent, id = self._dice.pick(settled)
        try:
            await self._moon(client).ask(agent, Append(-1), id=id, timeout=self._timeout)
        except MoonletError:
            return
        raise AssertionError(f"{id} to {agent} was answered to another command")

    def _is_known(self, agent: str, id: str) -> bool:
        number = int(id.removeprefix("own-"))
        return any(
            op.agent == agent and op.number == number and op.numbers is not None
            for op in self.history.operations
        )

    async def _give_up(self, client: int, agent: str) -> None:
        """Who asks is cancelled, at any moment: nobody knows what was sent."""
        moon = self._moon(client)
        _, command = self._command(client, agent, "append")
        asking = asyncio.ensure_future(moon.ask(agent, command, timeout=self._timeout))
        await asyncio.wait([asking], timeout=self._dice.below(30) / 1_000)
        asking.cancel()
        await asyncio.wait([asking])
        if not asking.cancelled():
            asking.exception()

    async def _late(self, client: int, agent: str) -> None:
        """What has expired is never carried out: a number that no operation explains."""
        number = self.history.number()
        moon = self._moon(client)
        try:
            await moon.ask(agent, Append(number), deadline=LONG_AGO, timeout=self._timeout)
        except (Expired, MoonletError):
            return
        raise AssertionError(f"{agent} took what had expired")

    async def _forward(self, client: int, agent: str) -> None:
        moon = self._moon(client)
        operation, command = self._command(client, agent, "append")
        to = self._dice.pick([other for other in AGENTS if other != agent])
        self.history.begin(to, client, "append", number=operation.number)  # some day
        command = Forward(operation.number, to)
        await self._done(operation, moon.ask(agent, command, timeout=self._timeout))

    async def _stop(self, client: int, agent: str) -> None:
        """Stop an agent, and start it again."""
        moon = self._moon(client)
        with contextlib.suppress(MoonletError):
            await moon.order(agent, "stop", timeout=self._timeout)
        await asyncio.sleep(self._dice.below(100) / 1_000)
        await self.start(agent)

    async def start(self, agent: str) -> None:
        """Order it until it was heard."""
        while True:
            with contextlib.suppress(MoonletError):
                await self._clients[0].order(agent, "start", timeout=self._timeout)
                return

    # what no client of ours would send

    async def _forge(self, client: int, agent: str, *, times: int = 1) -> None:
        """A foreign client's command, which may say that it is anybody, under whatever number."""
        moon = self._moon(client)
        operation, _ = self._command(client, agent, "append")
        sender = self._dice.pick(("", "c-foreign", "register/a", "register/b", "x"))
        envelope = {
            "id": f"foreign-{operation.number}",
            "agent": agent,
            "name": "Append",
            "body": {"number": operation.number},
            "sender": sender,
            "number": 0 if times > 1 else self._dice.pick((0, 0, operation.number)),
        }
        with contextlib.suppress(MoonletError):
            home = await moon.registry.home("register")
            subject = moon.bus.subjects.mailbox(AgentId.parse(agent), "medium", home)
            for _ in range(times):
                await moon.bus.publish(subject, msgspec.json.encode(envelope), timeout=2.0)

    async def _twice(self, client: int, agent: str) -> None:
        await self._forge(client, agent, times=2)

    # questions

    async def _look(
        self, client: int, agent: str, ask: Callable[[Client], Awaitable[Sequence[int]]]
    ) -> None:
        moon = self._moon(client)
        at_least, own = self.sessions.begin(client, agent), self.sessions.owns(client, agent)
        operation = self.history.begin(agent, client, "read")
        try:
            numbers = list(await ask(moon))
        except MoonletError:
            self.history.drop(operation)
            return
        self.sessions.read(client, agent, numbers, at_least=at_least)
        assert own <= set(numbers), (
            f"{agent}: {sorted(own - set(numbers))} not read by their writer"
        )
        self.history.end(operation, numbers)
        if not self._exchanged:  # then it may be older than what others know
            self.history.drop(operation)

    async def _read(self, client: int, agent: str) -> None:
        await self._look(
            client, agent, lambda moon: moon.query(agent, Read(), timeout=self._timeout)
        )

    async def _history(self, client: int, agent: str) -> None:
        async def numbers(moon: Client) -> list[int]:
            return [
                event.body["number"]
                async for commit in moon.history(agent)
                for event in commit.events
            ]

        await self._look(client, agent, numbers)

    async def _state(self, client: int, agent: str) -> None:
        async def numbers(moon: Client) -> Sequence[int]:
            state: Numbers = await moon.state(agent)
            return state.numbers

        await self._look(client, agent, numbers)

    async def _compare(self, client: int, agent: str) -> None:
        """What the journal shows is shown by the owner too, to whoever was told of it."""
        await self._history(client, agent)
        await self._read(self._dice.below(len(self._clients)), agent)

    async def _view(self, client: int, agent: str) -> None:
        """A view that has seen what the client has: its own numbers are there."""
        replica = self._replica()
        if replica is None:
            return
        moon = self._moon(client)
        own = self.sessions.owns(client, agent)
        with contextlib.suppress(MoonletError):
            await replica.wait_for(moon.token, timeout=self._timeout)
            frontier, value = replica.frontier, replica.value["numbers"]
            assert frontier.covers(moon.token)
            there = set(map(int, value.get(AgentId.parse(agent).key, ())))
            assert own <= there, f"a view lacks {sorted(own - there)} of {agent}"
            self.sessions.viewed(value)

    async def _pause(self, client: int, agent: str) -> None:
        await asyncio.sleep(self._dice.below(400) / 1_000)
