"""A client's commands on their way, and the answers to them: the sender's side of mailboxes.

A command is numbered, encoded, and sent under one id until its outcome is known. Everything that is
the same for all commands to an agent in a lane is worked out once and kept (`Route`).
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import msgspec

from moonlet.agents.client.asking import ASK_AGAIN, await_outcome
from moonlet.agents.client.homes import Homes
from moonlet.agents.client.plain_fields import refuse_unknown_fields
from moonlet.agents.client.timeouts import in_time
from moonlet.agents.definition import AgentType
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    InvalidMessage,
    InvalidSettings,
    LimitExceeded,
    MoonletError,
    PayloadTooLarge,
    PermissionDenied,
    Unavailable,
    Unknown,
    UnknownCommand,
)
from moonlet.core.hlc import to_micros
from moonlet.core.ids import AgentId, Lane, check_command_id, check_lane
from moonlet.core.memory import WINDOW
from moonlet.core.schema import MessageType, encode_plain, is_message_class
from moonlet.streams import (
    Answer,
    Bus,
    Disconnected,
    Home,
    Mailboxes,
    Message,
    NoResponders,
    Registry,
    ServerRefused,
    Subscription,
    decode_answer,
    explain_refusal,
    is_final,
    is_full,
    is_unknown,
)
from moonlet.telemetry.spans import brought

ROUTES_MAX: Final = 100_000
"""Receivers and lanes that one session counts for; then a new session begins."""

Timeout = float | timedelta

PLACE: Final = 10
"""Bytes of the name of the place to which one answer goes; nobody can guess it."""

_NOBODY: Final[tuple[str, None]] = "", None

TRY: Final = 2.0
"""Seconds until one try's answer is taken for lost."""


FIRST_TRY: Final = 0.75
"""The part of a caller's time that the first try takes at most: the rest is for why it failed."""


class Plain(msgspec.Struct, frozen=True):
    """A message without its class: the schema's name and plain data, as the console sends it."""

    name: str
    body: Any
    version: int = 1


def seconds(timeout: Timeout) -> float:
    """A timeout in seconds; raises `InvalidSettings` unless it is positive and finite."""
    value = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not 0 < value < 1e9:
        raise InvalidSettings(f"timeout={timeout!r}: give a positive number of seconds")
    return value


def end_of(timeout: Timeout) -> float:
    """When a call that begins now is to end, by the loop's time; raises as `seconds`."""
    return asyncio.get_running_loop().time() + seconds(timeout)


def _deadline(moment: datetime) -> int:
    """In µs since 1970, from 1: what is before that has passed as well, and 0 is none."""
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidSettings(f"deadline={moment!r:.100}: give an aware datetime")
    return max(1, to_micros(moment))


class Counter:
    """Numbers from 1, each in flight from `take` to `done`. Small while at rest.

    The agent's window holds 1,024 numbers. So a number is only given out while the oldest one still
    in flight is less than that behind: an old one that is retried for long must not fall out of the
    window, where it would be taken for a duplicate.
    """

    __slots__ = ("_in_flight", "_waiting", "last")

    def __init__(self) -> None:
        self.last = 0
        self._in_flight: dict[int, None] = {}
        self._waiting: deque[asyncio.Future[int]] | None = None

    def take_now(self) -> int | None:
        """The next number, None if there is no room for it, or others wait."""
        return self._give() if not self._waiting and self._has_room() else None

    async def take(self) -> int:
        """The next number, once there is room for it; first come, first served.

        Cancelled, it leaves no number in flight.
        """
        if not self._waiting and self._has_room():
            return self._give()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._waiting.remove(future)
            else:
                self.done(future.result())
            raise

    def done(self, number: int) -> None:
        """Its outcome is known, or nobody waits for it any more."""
        del self._in_flight[number]
        while self._waiting and self._has_room():
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(self._give())

    def _give(self) -> int:
        self.last += 1
        self._in_flight[self.last] = None
        return self.last

    def _has_room(self) -> bool:
        oldest = next(iter(self._in_flight), None)
        return oldest is None or self.last + 1 - oldest < WINDOW


class Route(Counter):
    """The way to one agent in one lane, in one session; `home` is None until it was asked for."""

    __slots__ = (
        "_prefix",
        "_text",
        "home",
        "journal",
        "landed",
        "lane",
        "session",
        "subject",
        "target",
    )

    def __init__(self, target: AgentId, lane: Lane, session: str) -> None:
        super().__init__()
        self.target = target
        self.lane: Lane = lane
        self.session = session
        self.home: Home | None = None
        self.landed = 0  # the highest number that is stored
        self.subject = self.journal = ""
        self._text = str(target)
        self._prefix = f"{session}.{target.type}.{target.key}.{lane}."

    def envelope(
        self,
        message: tuple[str, int, bytes],
        number: int,
        id: str | None,
        deadline: datetime | None,
        reply: str,
    ) -> Envelope:
        """The command on its way; a caller's own `id` takes the place of the number."""
        name, version, body = message
        if id is not None:
            check_command_id(id)
            number = 0
        return Envelope(
            id=id or f"{self._prefix}{number}",
            agent=self._text,
            name=name,
            body=msgspec.Raw(body),
            version=version,
            lane=self.lane,
            sender=self.session,
            number=number,
            traceparent=brought(),
            deadline=_deadline(deadline) if deadline is not None else 0,
            reply=reply,
        )


class Sender:
    """One session, its routes, and one wildcard inbox in which each question has a place.

    `seen` are the last sequences of the journals that the client knows of, and may grow.
    """

    def __init__(
        self,
        bus: Bus,
        registry: Registry,
        types: Mapping[str, AgentType[Any]],
        seen: Mapping[str, int],
    ) -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self.homes = Homes(bus, registry)
        self._types = types
        self._seen = seen
        self._mailboxes = Mailboxes(bus)
        self._messages: dict[type, MessageType[Any]] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._inbox = bus.new_inbox()
        self._waiting: dict[str, tuple[str, asyncio.Future[Answer]]] = {}
        self._count = 0
        self._places = blake2b(key=bus.entropy.token().encode(), digest_size=PLACE)
        self._subscription: Subscription | None = None
        self.session = f"c-{bus.entropy.token()}"

    async def open(self) -> None:
        """Listen for answers."""
        self._subscription = await self._bus.subscribe(f"{self._inbox}.*", self._arrive)

    async def close(self) -> None:
        """Stop; who still waits gets `Unavailable`."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(Unavailable("the client was closed"))
                future.exception()  # whoever waits has it; nobody else is to be warned
        self._waiting.clear()

    async def tell(
        self,
        agent: str,
        command: Any,
        *,
        id: str | None,
        lane: Lane,
        timeout: Timeout,
        deadline: datetime | None,
    ) -> tuple[AgentId, Envelope, int]:
        """Store a command; returns when it is durable. See `Client.tell`.

        With the envelope comes the sequence of the journal that its commit can only be behind.
        """
        until = self._loop.time() + seconds(timeout)
        route = self._route(agent, lane)
        if route.home is None:
            await self._find(route, until)
        message = self.encode(route.target, command)
        number = route.take_now() or await self._take(route, until)
        after = self._end(route, id)
        try:
            envelope = route.envelope(message, number, id, deadline, "")
            await self._put(route, envelope, until)
            if envelope.number > route.landed:
                route.landed = envelope.number
        finally:
            route.done(number)
        return route.target, envelope, after

    async def ask(
        self,
        agent: str,
        command: Any,
        *,
        id: str | None,
        lane: Lane,
        timeout: Timeout,
        deadline: datetime | None,
    ) -> Answer:
        """Send a command and wait for its outcome. See `Client.ask`."""
        until = self._loop.time() + seconds(timeout)
        route = self._route(agent, lane)
        home = route.home or await self._find(route, until)
        message = self.encode(route.target, command)
        number = route.take_now() or await self._take(route, until)
        after = self._end(route, id)
        reply = self._place()
        future: asyncio.Future[Answer] = self._loop.create_future()
        try:
            envelope = route.envelope(message, number, id, deadline, reply)
            self._waiting[reply] = envelope.id, future
            await self._put(route, envelope, until)
            if envelope.number > route.landed:
                route.landed = envelope.number
            left = until - self._loop.time()
            if left > 0:
                await asyncio.wait([future], timeout=min(left, ASK_AGAIN))
            if future.done() and future.result().outcome != "waiting":
                return future.result()
            return await await_outcome(
                self._bus, route.target, envelope, home, future, after=after, until=until
            )
        finally:
            route.done(number)
            self._waiting.pop(reply, None)

    def _place(self) -> str:
        """Where the next answer is to go: whoever has seen all before it can't tell it."""
        self._count += 1
        place = self._places.copy()
        place.update(b"%d" % self._count)
        return f"{self._inbox}.{place.hexdigest()}"

    def _arrive(self, message: Message) -> None:
        id, future = self._waiting.get(message.subject, _NOBODY)
        if future is None or future.done():
            return
        try:
            answer = decode_answer(message.data, message.headers)
        except MoonletError as error:
            future.set_exception(error)
            return
        if answer.id == id:  # else it is no owner's
            future.set_result(answer)

    def _route(self, agent: str, lane: Lane) -> Route:
        """The way to this agent in this lane, in the session of now; raises `InvalidId`."""
        if asyncio.get_running_loop() is not self._loop:
            self.homes.check_loop()
        route = self._routes.get((agent, lane)) if type(agent) is str else None
        if route is None:
            target = AgentId.parse(agent)
            key = str(target), check_lane(lane)
            if len(self._routes) >= ROUTES_MAX:
                # A new session counts from 1 again; what is in flight keeps its old sender.
                self.session = f"c-{self._bus.entropy.token()}"
                self._routes.clear()
            route = self._routes.setdefault(key, Route(target, lane, self.session))
        if route.last - route.landed >= WINDOW:
            # So many numbers were never stored that the agent would not believe the next one.
            session = f"c-{self._bus.entropy.token()}"
            route = Route(route.target, route.lane, session)
            self._routes[str(route.target), route.lane] = route
        return route

    async def _find(self, route: Route, until: float) -> Home:
        home = await self.homes.home(route.target, until)
        route.journal = journal = self._bus.topology.journal_of(route.target.type)
        if journal not in self._seen:
            await self.homes.learn_end(journal, until)
        route.home = home
        route.subject = self._bus.subjects.mailbox(route.target, route.lane, home)
        return home

    def _end(self, route: Route, id: str | None) -> int:
        """Behind which sequence a command's commit can only be; 0 for a caller's own id."""
        if id is not None:  # it may be an old one
            return 0
        return self._seen.get(route.journal) or self.homes.ends.get(route.journal, 0)

    async def _take(self, route: Route, until: float) -> int:
        """A number, once there is room; raises `LimitExceeded` when time is up."""

        def late() -> LimitExceeded:
            return LimitExceeded(
                f"{WINDOW} commands to {route.target} in lane {route.lane} are under way, and none"
                " was answered in time: wait for answers before you send on, or start more hosts",
                limit=WINDOW,
            )

        return await in_time(route.take(), until, late)

    def encode(
        self, agent: AgentId, message: Any, *, query: bool = False
    ) -> tuple[str, int, bytes]:
        """Name, version and body of a message; raises `InvalidMessage`, `UnknownCommand`."""
        encoding = self._bus.encoding
        cls = type(message)
        if cls is Plain:
            name, version = message.name, message.version
            body = encode_plain(message.body, encoding)
        else:
            known = self._messages.get(cls)
            if known is None:
                if not is_message_class(cls):
                    raise InvalidMessage(
                        f"{message!r:.100} is no message: use a msgspec.Struct, a dataclass or a"
                        " pydantic model"
                    )
                known = self._messages[cls] = MessageType(cls)
            name, version, body = known.name, known.version, known.encode(message, encoding)
        self._check(agent, cls, name, version, body, query)
        return name, version, body

    def _check(
        self, agent: AgentId, cls: type, name: str, version: int, body: bytes, query: bool
    ) -> None:
        """Where the type is known here, tell the sender at once what its owner would say.

        A message of the very class that its handler takes was checked by being encoded.
        """
        agent_type = self._types.get(agent.type)
        if agent_type is None:
            return
        table = agent_type.queries if query else agent_type.behavior.commands
        handler = table.get(name)
        if handler is None:
            if query:
                known = ", ".join(sorted(table)) or "none"
                raise UnknownCommand(
                    f"agent type {agent.type} has no query {name!r}; it has: {known}"
                )
            raise UnknownCommand(agent_type.unknown_command(name))
        if handler.message.cls is not cls:
            handler.message.decode(body, version, self._bus.encoding)
            if cls is Plain and version == handler.message.version:
                refuse_unknown_fields(handler.message.cls, name, body, self._bus.encoding)

    async def _put(self, route: Route, envelope: Envelope, until: float) -> None:
        """Store the command, with retries under the same id and number, until the loop's `until`.

        Raises `MailboxFull`, `PayloadTooLarge`, `PermissionDenied`; `Unknown` when time is up,
        'no' if it was never sent, 'maybe' if a try had no answer: what may be stored is not told as
        refused by what became of another try.
        """
        stored = False
        attempt = 0
        why = ""
        while True:
            attempt += 1
            left = until - self._loop.time()
            if left <= 0:
                raise self._unknown(route, envelope, stored, why)
            try:
                timeout = min(left if attempt > 1 else left * FIRST_TRY, TRY)
                ack = await self._mailboxes.put(route.subject, envelope, timeout=timeout)
                if ack.duplicate:
                    await self._mailboxes.settle(ack, route.subject, envelope, timeout=timeout)
                return
            except ServerRefused as error:
                if is_full(error) and not stored:
                    limit = self._bus.topology.mailbox
                    raise explain_refusal(error, route.target, limit) from None
                if is_unknown(error):
                    stored = True
                elif is_final(error):
                    if not stored:
                        raise
                    raise self._unknown(route, envelope, stored, error.description) from error
                why = error.description
            except (PayloadTooLarge, PermissionDenied) as error:
                if not stored:
                    raise
                raise self._unknown(route, envelope, stored, str(error)) from error
            except NoResponders:
                why = f"no stream takes {route.subject} now; hosts make it"
            except Disconnected:
                why = "there is no connection to it now; it is being restored"
            except Unavailable:
                stored, why = True, await self.homes.why_silent(until, why)
            await self._bus.backoff(attempt, at_most=until - self._loop.time())

    def _unknown(self, route: Route, envelope: Envelope, stored: bool, why: str) -> Unknown:
        where, what = self._bus.description, f"{envelope.name} to {route.target}"
        if stored:
            do = "ask for its outcome with the same id"
            text = f"no answer from {where} for {what} ({why}): {do}"
        else:
            do = "nothing is stored, send it again"
            text = f"{what} was not taken by {where} in time ({why}): {do}"
        return Unknown(text, stored="maybe" if stored else "no", command_id=envelope.id)
