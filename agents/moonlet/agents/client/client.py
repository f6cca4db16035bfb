"""The client: what `connect()` gives. It sends commands, asks, queries, and reads histories."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec

from moonlet.agents.client.answers import value_of
from moonlet.agents.client.asking import ask_owner
from moonlet.agents.client.receipt import Receipt
from moonlet.agents.client.sending import Sender, Timeout, end_of, seconds
from moonlet.agents.client.timeouts import each_in_time, in_time
from moonlet.agents.definition import AgentType
from moonlet.agents.histories import fold_of, read_commits
from moonlet.agents.topics import From, Published, TopicSubscription, publish, subscription_name
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid, Unavailable, UnknownAgentType
from moonlet.core.frontier import Frontier
from moonlet.core.ids import AgentId, Lane
from moonlet.streams import OWNER_QUERY, Answer, Bus, Question, Registry, forget_position

T = TypeVar("T")

_OPEN: Final = ("bus", "registry", "_sender", "_subscriptions")
"""What a client has while it is open."""


class Client:
    """One connection to one system of agents: `async with connect() as moon`.

    Every call that waits takes `timeout` in seconds or as a timedelta; cancelling one leaves a
    command that was sent on its way.
    """

    def __init__(
        self,
        open_bus: Callable[[], Awaitable[Bus]],
        *,
        agents: Iterable[AgentType[Any]] = (),
        close: Callable[[], Awaitable[None]] | None = None,
        another: Callable[[AsyncExitStack], Awaitable[Bus]] | None = None,
    ) -> None:
        self._open_bus = open_bus
        self.another = another
        """Opens a further connection to the same server, on any loop; None in a simulation."""
        self._on_close = close
        self.types: dict[str, AgentType[Any]] = {}
        for agent_type in agents:
            self.learn(agent_type)
        self._seen: dict[str, int] = {}
        self._closed = False

    if not TYPE_CHECKING:  # what an open client has, and no other

        def __getattr__(self, name: str) -> Any:
            if name not in _OPEN:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            what = "closed" if self._closed else "not open yet"
            raise Invalid(f"the client is {what}: use it inside `async with connect() as moon:`")

    async def __aenter__(self) -> "Client":
        if "bus" in vars(self):
            raise Invalid("the client is open already: open each by one `async with`")
        self.bus = await self._open_bus()
        try:
            self.registry = Registry(self.bus)
            self._subscriptions: dict[TopicSubscription, None] = {}
            self._sender = Sender(self.bus, self.registry, self.types, self._seen)
            await self._sender.open()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for subscription in list(self._subscriptions):
                await subscription.close()
            await self._sender.close()
        finally:
            await self._end()

    async def _end(self) -> None:
        self._closed = True
        for name in _OPEN:
            vars(self).pop(name, None)
        if self._on_close is not None:
            await self._on_close()

    def learn(self, agent_type: AgentType[Any]) -> None:
        """Know an agent type's code: for `state`, and to refuse misfits before they are sent."""
        self.types[agent_type.name] = agent_type

    @property
    def token(self) -> Frontier:
        """What this client has caused and seen; its queries see at least that."""
        return Frontier.of(self._seen)

    def see(self, stream: str, sequence: int) -> None:
        """Take note of a commit seen elsewhere, say by the client that handed over its token."""
        if sequence > self._seen.get(stream, 0):
            self._seen[stream] = sequence

    # commands

    async def tell(
        self,
        agent: str,
        command: Any,
        *,
        id: str | None = None,
        lane: Lane = "medium",
        timeout: Timeout = 5.0,
        deadline: datetime | None = None,
    ) -> Receipt:
        """Store a command in the agent's mailbox; returns when it is durable.

        `id` is yours if you give one, and makes sending it again harmless at any delay; with
        another command it is `Conflict`. Not decided by `deadline` (aware), it expires.
        """
        target, envelope, after = await self._sender.tell(
            agent, command, id=id, lane=lane, timeout=timeout, deadline=deadline
        )
        return Receipt(self, target, envelope, after)

    @overload
    async def ask(
        self,
        agent: str,
        command: Any,
        *,
        id: str | None = None,
        lane: Lane = "medium",
        timeout: Timeout = 5.0,
        deadline: datetime | None = None,
        returns: None = None,
    ) -> Any: ...

    @overload
    async def ask(
        self,
        agent: str,
        command: Any,
        *,
        id: str | None = None,
        lane: Lane = "medium",
        timeout: Timeout = 5.0,
        deadline: datetime | None = None,
        returns: type[T],
    ) -> T: ...

    async def ask(
        self,
        agent: str,
        command: Any,
        *,
        id: str | None = None,
        lane: Lane = "medium",
        timeout: Timeout = 5.0,
        deadline: datetime | None = None,
        returns: Any = None,
    ) -> Any:
        """Send a command and wait for its reply: plain data, or a `returns`.

        Raises `Rejected` with the agent's reason, `Expired`, and `Unknown` when time is up.
        """
        answer = await self._sender.ask(
            agent, command, id=id, lane=lane, timeout=timeout, deadline=deadline
        )
        if answer.outcome == "accepted" and returns is None:
            if answer.sequence > self._seen.get(answer.stream, 0):
                self._seen[answer.stream] = answer.sequence
            return answer.reply
        return self._value_of(answer, returns)

    def _value_of(self, answer: Answer, returns: Any) -> Any:
        if answer.stream and answer.sequence > self._seen.get(answer.stream, 0):
            self._seen[answer.stream] = answer.sequence
        return value_of(answer, returns)

    # queries

    @overload
    async def query(
        self, agent: str, query: Any, *, timeout: Timeout = 5.0, returns: None = None
    ) -> Any: ...

    @overload
    async def query(
        self, agent: str, query: Any, *, timeout: Timeout = 5.0, returns: type[T]
    ) -> T: ...

    async def query(
        self, agent: str, query: Any, *, timeout: Timeout = 5.0, returns: Any = None
    ) -> Any:
        """Ask the agent's owner about acknowledged state, at least as new as `token`.

        Changes nothing. Raises `NoHost` if nobody runs the type, `Unavailable` if it is stopped.
        """
        until = end_of(timeout)
        target = AgentId.parse(agent)
        name, version, body = self._sender.encode(target, query, query=True)
        stream = self.bus.topology.journal_of(target.type)
        question = Question(
            agent=str(target),
            id=f"q-{self.bus.entropy.token()}",
            name=name,
            version=version,
            body=msgspec.Raw(body),
            at_least=self._seen.get(stream, 0),
            sender=self._sender.session,
        )
        answer = await self._ask_owner(OWNER_QUERY, target, question, until)
        return self._value_of(answer, returns)

    async def order(self, agent: str, verb: str, *, timeout: Timeout = 5.0) -> Any:
        """Order the agent's owner to `stop` or `start` it, or ask it for its `status`.

        Orders are carried out as they come, also one whose sender has given it up: whoever gives
        another means the other. Raises `NoHost` when time is up: it may have been carried out.
        """
        until = end_of(timeout)
        target = AgentId.parse(agent)
        question = Question(agent=str(target), id=f"o-{self.bus.entropy.token()}", name=verb)
        return self._value_of(await self._ask_owner("control", target, question, until), None)

    async def _ask_owner(
        self, service: str, target: AgentId, question: Question, until: float
    ) -> Answer:
        home = await self._sender.homes.home(target, until)
        return await ask_owner(self.bus, service, target, home, question, until=until)

    # topics

    async def publish(
        self, topic: str, message: Any, *, id: str | None = None, timeout: Timeout = 5.0
    ) -> Published:
        """Store a message, or plain data, for whoever subscribes to `topic`; durable on return.

        Again under the same `id`, within two minutes, it is stored once. Raises `PayloadTooLarge`,
        `LimitExceeded` if the topics are full, `Unknown` when time is up.
        """
        return await publish(self.bus, topic, message, id, seconds(timeout))

    def subscribe(
        self,
        topics: str,
        *,
        durable: str | None = None,
        group: str | None = None,
        from_: From = "new",
        prefetch: int = 64,
        again_after: float = 30.0,
    ) -> TopicSubscription:
        """The messages of a topic, by `async for`; `*` is any one name in it, a last `>` the rest.

        Each comes at least once, and again unless it is acknowledged within `again_after` seconds
        (1 to 3,600). Under the name `durable` the server keeps the position for good, and who comes
        back under that name goes on there; those of one `group` share the messages. `from_`
        counts for a new position only. At most `prefetch` messages (1 to 1,024) are in memory.
        """
        subscription = TopicSubscription(
            self.bus,
            topics,
            durable=durable,
            group=group,
            from_=from_,
            prefetch=prefetch,
            again_after=again_after,
            ended=lambda ended: self._subscriptions.pop(ended, None),
        )
        self._subscriptions[subscription] = None
        return subscription

    async def unsubscribe(
        self, *, durable: str | None = None, group: str | None = None, timeout: Timeout = 5.0
    ) -> bool:
        """Forget the position of that name; False if there was none. Nobody may be reading it."""
        name = subscription_name(durable, group)
        if name is None:
            raise Invalid("name the subscription: durable=, group= or both, as it was opened")
        late = Unavailable(
            f"the subscription was not removed within {seconds(timeout):g} s:"
            f" {self.bus.description} is slow or hangs; do it again"
        )
        return await in_time(forget_position(self.bus, name), end_of(timeout), lambda: late)

    # histories

    async def history(
        self,
        agent: str,
        from_: int = 1,
        to: int | None = None,
        follow: bool = False,
        *,
        timeout: Timeout | None = None,
    ) -> AsyncGenerator[Commit[Any], None]:
        """The agent's commits of revisions `from_` to `to`, both inclusive, in order.

        None is missing that was committed before the call, or that `token` has seen. With `follow`
        it waits for further ones, for ever or until `to`. `timeout` is for each of them: how long
        to wait for the next; without one, as long as the server answers. Raises `Unavailable`.
        """
        target = AgentId.parse(agent)
        stream = self.bus.topology.journal_of(target.type)
        seen = self._seen.get(stream, 0)
        commits = read_commits(self.bus, target, from_, to, follow, seen)
        if timeout is not None:
            commits = each_in_time(commits, seconds(timeout), lambda: self._late(target, timeout))
        async with aclosing(commits) as each:
            async for commit in each:
                self.see(stream, commit.sequence)
                yield commit

    async def state(
        self,
        agent: str,
        revision: int | None = None,
        *,
        time: datetime | None = None,
        timeout: Timeout | None = None,
    ) -> Any:
        """The agent's typed state after `revision`, or as of `time`; else the newest.

        At least as new as `token`, which it advances. Raises `Unavailable`; without `timeout` it
        takes as long as the server answers, and the history is.
        Needs the agent type's code: from `agents=` of `connect`, or a host on this client.
        """
        target = AgentId.parse(agent)
        agent_type = self.types.get(target.type)
        if agent_type is None:
            raise UnknownAgentType(
                f"the code of agent type {target.type} is not known here: pass it in"
                " connect(agents=[...]), or open a Host on this client"
            )
        stream = self.bus.topology.journal_of(target.type)
        seen = self._seen.get(stream, 0)
        work = fold_of(self.bus, agent_type, target, revision=revision, time=time, at_least=seen)
        if timeout is None:
            fold = await work
        else:
            fold = await in_time(work, end_of(timeout), lambda: self._late(target, timeout))
        self.see(stream, fold.sequence)
        return fold.state

    def _late(self, agent: AgentId, timeout: Timeout) -> Unavailable:
        return Unavailable(
            f"the history of {agent} was not read within {seconds(timeout):g} s: it is long, or"
            f" {self.bus.description} is slow or hangs; read again, with a longer timeout"
        )
