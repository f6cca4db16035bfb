"""A bus in memory: routes what satellites send to each other, one command after another.

Commands are decided by the agent types' own `Behavior`, and every message goes through its codec.
The order in which queues are served is the caller's: first come first served, or any other that
keeps each sender's order to each receiver and lane. There is neither clock nor server: equal runs
give equal commits.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Iterable
from random import Random
from typing import Any

import msgspec

from moonlet.agents import AgentType, Context, PerformFailed
from moonlet.core.commit import Command, Commit, Effect, Event, place
from moonlet.core.digest import record_digest
from moonlet.core.errors import NoHost
from moonlet.core.fold import Fold, call_id
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId, Lane
from moonlet.core.schema import MessageType, decode_plain
from moonlet.satellites import SATELLITES

STEP_US = 1_000


class Parked(AssertionError):
    """A handler raised: that is a bug in the handler."""


class Agent:
    """One agent: its type, fold and commits."""

    def __init__(self, id: str, agent_type: AgentType[Any]) -> None:
        self.id = id
        self.type = agent_type
        self.fold: Fold[Any] = Fold(agent_type.behavior.initial())
        self.commits: list[Commit[Any]] = []
        self.calls_open: set[str] = set()
        self.timers: dict[str, tuple[int, Event[Any]]] = {}


class Receipt:
    """What `tell` gives; the command is committed when it is asked for."""

    def __init__(self, bus: "Bus", agent: str, id: str) -> None:
        self._bus = bus
        self._agent = agent
        self.id = id

    async def committed(self, timeout: float = 5.0) -> Commit[Any]:
        await self._bus.run()
        return next(c for c in self._bus.commits[self._agent] if c.command.id == self.id)


class Bus:
    """All agents, and the commands on their way, queued by sender and receiver."""

    def __init__(
        self,
        types: Iterable[AgentType[Any]] = SATELLITES,
        *,
        order: Random | None = None,
        backlog: bool = False,
        broken_calls: int = 0,
    ) -> None:
        self.types = {agent_type.name: agent_type for agent_type in types}
        self.agents: dict[str, Agent] = {}
        self._queues: dict[tuple[str, str, str], deque[Command[Any]]] = {}
        self._calls: deque[tuple[Agent, str, Event[Any]]] = deque()
        self._order = order
        self._now = 1_700_000_000_000_000
        self._ids = itertools.count(1)
        self._arrivals: deque[tuple[str, str, str]] = deque()
        self._broken_calls = broken_calls
        self._backlog = backlog
        self.seen: set[tuple[str, str]] = set()

    @property
    def commits(self) -> dict[str, list[Commit[Any]]]:
        """Every agent's commits."""
        return {id: agent.commits for id, agent in self.agents.items()}

    def state(self, agent: str) -> Any:
        """An agent's state."""
        return self._agent(agent).fold.state

    def events(self, agent: str, *names: str) -> list[Event[Any]]:
        """An agent's events, of these names if any are given, in order."""
        return [
            event
            for commit in self._agent(agent).commits
            for event in commit.events
            if not names or event.name in names
        ]

    # the client's side

    async def tell(
        self, agent: str, command: Any, *, id: str | None = None, timeout: float = 5.0
    ) -> Receipt:
        """Queue a command; one of an id that was seen before is dropped.

        All that follows from it is dealt with first, as between ticks of a feed; with `backlog`
        nothing is until somebody asks, as when no host is up.
        """
        id = id if id is not None else f"client-{next(self._ids)}"
        if (agent, id) not in self.seen:
            self.seen.add((agent, id))
            self._put(agent, _named(command), id, sender="client", causation="")
        if not self._backlog:
            await self.run()
        return Receipt(self, agent, id)

    async def query(self, agent: str, query: Any, *, timeout: float = 5.0) -> Any:
        """Answer from the state as it is, after all that is queued."""
        await self.run()
        found = self._agent(agent)
        name, _ = MessageType(type(query)).name, None
        handler = found.type.queries.get(name)
        if handler is None:
            raise NoHost(f"{agent} answers no {name}")
        extra = (self._context(found, "query"),) if handler.wants_context else ()
        return msgspec.to_builtins(handler.function(found.fold.state, query, *extra))

    async def history(
        self, agent: str, from_: int = 1, to: int | None = None, follow: bool = False
    ) -> AsyncIterator[Commit[Any]]:
        """The commits from `from_` on."""
        await self.run()
        for commit in self._agent(agent).commits[from_ - 1 : to]:
            yield commit

    # the host's side

    async def run(self) -> None:
        """Decide until nothing is queued and no call is under way."""
        while self._arrivals or self._calls:
            if self._calls and (not self._arrivals or self._toss()):
                await self._perform(*self._calls.popleft())
            else:
                self._decide_next()

    async def fire(self, agent: str, timer: str) -> None:
        """Fire a timer now."""
        found = self._agent(agent)
        revision, message = found.timers.pop(timer)
        self._put(agent, message, f"timer-{timer}-{revision}", agent, "", timer=timer, n=revision)
        await self.run()

    def _toss(self) -> bool:
        return self._order is not None and self._order.random() < 0.5

    def _decide_next(self) -> None:
        if self._order is None:
            key = self._arrivals.popleft()
        else:
            index = self._order.randrange(len(self._arrivals))
            key = self._arrivals[index]
            del self._arrivals[index]
        self._decide(self._agent(key[1]), self._queues[key].popleft())

    def _decide(self, agent: Agent, command: Command[Any]) -> None:
        self._now += STEP_US
        behavior = agent.type.behavior
        handler = behavior.commands[command.name]
        typed = handler.message.convert(command.body, command.version)
        context = self._context(agent, command.id, command.sender, command.correlation_id)
        decision = behavior.decide(agent.fold.state, handler, typed, context, "json")
        if decision.outcome == "parked":
            raise Parked(f"{agent.id} {command.name}: {decision.reason}\n{decision.stack}")
        commit: Commit[Any] = Commit(
            agent=agent.id,
            revision=agent.fold.revision + 1,
            outcome=decision.outcome,
            command=command,
            time=Timestamp(self._now),
            reason=decision.reason,
            events=tuple(_plain(event) for event in decision.events),
            effects=tuple(_plain_effect(effect) for effect in decision.effects),
            reply=None if decision.reply is None else decode_plain(bytes(decision.reply), "json"),
            previous_digest=agent.fold.digest,
        )
        record = msgspec.json.encode(commit)
        place(commit, len(agent.commits) + 1, record_digest(record))
        agent.fold.advance(commit, decision.state)
        agent.commits.append(commit)
        self._dispatch(agent, commit)

    def _dispatch(self, agent: Agent, commit: Commit[Any]) -> None:
        for index, effect in enumerate(commit.effects):
            id = call_id(agent.id, commit.revision, index)
            if effect.kind == "send":
                assert effect.message is not None
                self._put(
                    effect.target, effect.message, id, agent.id, commit.command.id,
                    correlation=commit.command.correlation_id, lane=effect.lane,
                )  # fmt: skip
            elif effect.kind == "perform":
                assert effect.message is not None
                self._calls.append((agent, id, effect.message))
            elif effect.kind == "schedule":
                assert effect.message is not None
                agent.timers[effect.target] = (commit.revision, effect.message)
            elif effect.kind == "cancel":
                agent.timers.pop(effect.target, None)

    async def _perform(self, agent: Agent, id: str, call: Event[Any]) -> None:
        handler = agent.type.performs[call.name]
        typed = handler.message.convert(call.body, call.version)
        if self._broken_calls:
            self._broken_calls -= 1
            result: Any = PerformFailed(id, "the venue did not answer")
        else:
            extra = (id,) if handler.wants_context else ()
            result = await handler.function(typed, *extra)
        self._put(agent.id, _named(result), f"{id}:result", agent.id, id, call=id)

    def _put(
        self,
        agent: str,
        message: Event[Any],
        id: str,
        sender: str,
        causation: str,
        *,
        correlation: str = "",
        lane: Lane = "medium",
        call: str = "",
        timer: str = "",
        n: int = 0,
    ) -> None:
        target = self._agent(agent)
        if message.name not in target.type.behavior.commands:
            raise Parked(f"{agent} takes no {message.name}, which {sender} sent")
        key = (sender, agent, lane)
        command: Command[Any] = Command(
            id,
            message.name,
            message.body,
            version=message.version,
            lane=lane,
            sender=sender,
            correlation_id=correlation or id,
            causation_id=causation,
            call=call,
            timer=timer,
            number=n,
        )
        self._queues.setdefault(key, deque()).append(command)
        self._arrivals.append(key)

    def _agent(self, id: str) -> Agent:
        if id not in self.agents:
            self.agents[id] = Agent(id, self.types[AgentId.parse(id).type])
        return self.agents[id]

    def _context(
        self, agent: Agent, command_id: str, sender: str = "", correlation: str = ""
    ) -> Context:
        return Context(
            self_id=agent.id,
            revision=agent.fold.revision,
            now_us=self._now,
            command_id=command_id,
            sender=sender,
            correlation_id=correlation,
        )


def _named(message: Any) -> Event[Any]:
    known = MessageType(type(message))
    return Event(known.name, decode_plain(known.encode(message, "json"), "json"), known.version)


def _plain(event: Event[Any]) -> Event[Any]:
    return Event(event.name, decode_plain(bytes(event.body), "json"), event.version)


def _plain_effect(effect: Effect[Any]) -> Effect[Any]:
    if effect.message is None:
        return effect
    return msgspec.structs.replace(effect, message=_plain(effect.message))


def told(*commands: tuple[str, Any], order: Random | None = None) -> Bus:
    """A bus that has dealt with these commands and all that followed from them."""
    bus = Bus(order=order)

    async def tell() -> None:
        for agent, command in commands:
            await bus.tell(agent, command)
            await bus.run()

    asyncio.run(tell())
    return bus
