"""`given(account).events(…).when(command).then(events=…, reply=…)`: test handlers without a server.

What was recorded is a beginning too: `given(account).at("night.moonlet", "account/a@17")`.

Every message goes through its codec, as it would on its way to the journal and back. Handlers may
ask for as little of time and chance as in a simulated world: it raises `Impure` or `Escape`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from moonlet.agents.deciding import judge
from moonlet.agents.definition import AgentType, Context
from moonlet.core.behavior import Decision, Handler
from moonlet.core.codec import Encoding
from moonlet.core.effects import EFFECTS
from moonlet.core.envelope import Envelope
from moonlet.core.errors import InvalidMessage, UnknownCommand
from moonlet.core.hlc import to_micros
from moonlet.core.ids import AgentId
from moonlet.core.schema import MessageType, decode_plain, encode_plain

if TYPE_CHECKING:
    from moonlet.replay import HistorySource

S = TypeVar("S")

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
_NOTHING: Any = object()


class _Beginning(msgspec.Struct, frozen=True):
    """What a handler's context says besides the command: an agent, its revision, the time."""

    agent: str
    revision: int = 0
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)


class Given(Generic[S]):
    """An agent's history so far; immutable, so that a base can be shared by tests."""

    def __init__(self, agent_type: AgentType[S], state: S, facts: _Beginning) -> None:
        self._type = agent_type
        self._state = state
        self._facts = facts

    def state(self, state: S) -> "Given[S]":
        """Start from this state instead of the initial one, at revision 0."""
        return Given(self._type, state, msgspec.structs.replace(self._facts, revision=0))

    def at(
        self, history: "Path | str | HistorySource", point: str, revision: int | None = None
    ) -> "Given[S]":
        """Start from what was recorded: the state that today's code folds, after a point.

        `history` is a bundle (`moonlet bundle create`, `moonlet sim import`); `point` is
        `AGENT@REVISION`, an agent with its `revision` apart, an agent alone (its end), or whatever
        else names a point. The agent, its revision and the time of the last commit are those that
        `when` decides with. Raises `Invalid` for what is not there, `Undecodable` and `Corrupt`
        where the history can't be folded.
        """
        from moonlet.replay import recorded_state  # 100 ms, and few tests ask for it

        named = point if revision is None else f"{point}@{revision}"
        held = recorded_state(history, self._type, named)
        facts = _Beginning(str(held.agent), held.revision)
        if held.revision:
            now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=held.time.micros)
            facts = msgspec.structs.replace(facts, now=now)
        return Given(self._type, held.state, facts)

    def events(self, *events: Any) -> "Given[S]":
        """Fold these typed events, each as of a commit of its own."""
        state = self._state
        behavior = self._type.behavior
        for event in events:
            name = MessageType(type(event)).name
            if name not in behavior.events:
                raise AssertionError(f"agent type {self._type.name} has no on_event for {name}")
            typed = _through_codecs(behavior.events[name].message, event)
            with _pure(self._type):
                state = behavior.evolve(state, typed)
        revision = self._facts.revision + len(events)
        return Given(self._type, state, msgspec.structs.replace(self._facts, revision=revision))

    def when(
        self,
        command: Any,
        *,
        agent: str | None = None,
        sender: str = "tester",
        now: datetime | None = None,
    ) -> "Outcome[S]":
        """Decide a command as the agent `agent` would at `now`.

        Without them `<type>/test` and the start of 2026, or those of the point that `at` names.
        """
        name = MessageType(type(command)).name
        handler = self._type.behavior.commands.get(name)
        if handler is None:
            raise UnknownCommand(self._type.unknown_command(name))
        command = _through_codecs(handler.message, command)
        self_id = str(AgentId.parse(agent or self._facts.agent))
        micros = to_micros(now or self._facts.now)

        def decide(encoding: Encoding, yielded: list[Any] | None = None) -> Decision[S]:
            with _pure(self._type):
                return decide_as_a_host(encoding, yielded)

        def decide_as_a_host(encoding: Encoding, yielded: list[Any] | None) -> Decision[S]:
            message = handler.message
            envelope = Envelope(
                id="test-1",
                agent=self_id,
                name=message.name,
                body=msgspec.Raw(message.encode(command, encoding)),
                version=message.version,
                sender=sender,
            )
            decision, _ = judge(
                self._type,
                self._state,
                envelope,
                encoding,
                revision=self._facts.revision,
                micros=micros,
                yielded=yielded,
            )
            return decision

        first = decide("json")
        _check_equal(first, decide("json"), decide("msgpack"))
        yielded: list[Any] = []
        if first.outcome == "accepted":
            decide("json", yielded)

        def record(effects: Sequence[Any]) -> Decision[S]:
            """As if its handler had yielded these."""
            yields_them = Handler(handler.message, lambda state, command: list(effects))
            context = Context(self_id=self_id, revision=0, now_us=micros)
            behavior = self._type.behavior
            return behavior.decide(self._state, yields_them, command, context, "json")

        effects = [item for item in yielded if type(item) in EFFECTS]
        return Outcome(self._type, first, effects, record)


class Outcome(Generic[S]):
    """What came of one command. `record` decides a command that yields the given effects.

    Of a handler that raised nothing came: whoever looks at it sees the traceback instead.
    """

    def __init__(
        self,
        agent_type: AgentType[S],
        decision: Decision[S],
        effects: Sequence[Any],
        record: Callable[[Sequence[Any]], Decision[S]],
    ) -> None:
        self._type = agent_type
        self._decision = decision
        self._effects = effects
        self._record = record

    @property
    def outcome(self) -> str:
        """accepted, rejected, or parked: its handler raised."""
        return self._decision.outcome

    @property
    def reason(self) -> str:
        """Why it was not accepted; empty if it was."""
        return self._decision.reason

    @property
    def stack(self) -> str:
        """The end of the traceback of a handler that raised; else empty."""
        return self._decision.stack

    @property
    def state(self) -> S:
        """The state after the command's events."""
        return self._came().state

    @property
    def effects(self) -> list[Any]:
        """What the handler yielded other than events and the reply, as it did, in order."""
        self._came()
        return list(self._effects)

    @property
    def events(self) -> list[Any]:
        """The typed events, in order."""
        events = self._type.behavior.events
        return [
            events[event.name].message.decode(bytes(event.body), event.version, "json")
            for event in self._came().events
        ]

    @property
    def reply(self) -> Any:
        """The reply as plain data; None if there was none."""
        raw = self._came().reply
        return None if raw is None else decode_plain(bytes(raw), "json")

    def then(
        self,
        *,
        events: Sequence[Any] = _NOTHING,
        reply: Any = _NOTHING,
        rejected: str | None = None,
        effects: Sequence[Any] = _NOTHING,
        state: Any = _NOTHING,
    ) -> "Outcome[S]":
        """Assert what is named; `effects` are the yields other than events and the reply.

        Without `rejected` the command must have been accepted; `rejected` is the exact reason.
        """
        __tracebackhide__ = True
        decision = self._decision
        outcome = "accepted" if rejected is None else "rejected"
        assert decision.outcome == outcome, (
            f"expected {outcome}, got {decision.outcome}: {decision.reason}\n{decision.stack}"
        )
        if rejected is not None:
            assert decision.reason == rejected, f"{decision.reason!r} != {rejected!r}"
        if events is not _NOTHING:
            assert self.events == list(events), f"events {self.events} != {list(events)}"
        if reply is not _NOTHING:
            expected = decode_plain(encode_plain(reply, "json"), "json")
            assert self.reply == expected, f"reply {self.reply!r} != {expected!r}"
        if effects is not _NOTHING:
            got, expected = _shown(decision), _shown(self._expected(effects))
            assert got == expected, f"effects {got} != {expected}"
        if state is not _NOTHING:
            assert self.state == state, f"state {self.state!r} != {state!r}"
        return self

    def _came(self) -> Decision[S]:
        __tracebackhide__ = True
        decision = self._decision
        assert decision.outcome != "parked", f"parked: {decision.reason}\n{decision.stack}"
        return decision

    def _expected(self, effects: Sequence[Any]) -> Decision[S]:
        recorded = self._record(effects)
        if recorded.outcome != "accepted" or recorded.events or recorded.reply is not None:
            raise AssertionError(
                f"{list(effects)} has something that is no effect that could be expected"
                f" {recorded.reason}"
            )
        return recorded


@contextmanager
def _pure(agent_type: AgentType[Any]) -> Iterator[None]:
    """Refuse clocks, chance and I/O in handlers, as a world does; in a world that does it."""
    from moonlet.simulations.guard import Guard, active_judge  # 100 ms, for tests that need it
    from moonlet.simulations.loop import SimLoop
    from moonlet.simulations.seed import Seed

    if active_judge() is not None:
        yield
        return
    loop = SimLoop()
    with Guard(loop, Seed(0), strict=(agent_type,)):
        yield
    if loop.escapes:  # a handler swallowed it, or it was taken for the handler's own error
        raise loop.escapes[0]


def given(agent_type: AgentType[S]) -> Given[S]:
    """Start a test of an agent type, which is checked, with its initial state."""
    agent_type.check()
    facts = _Beginning(f"{agent_type.name}/test")
    return Given(agent_type, agent_type.behavior.initial(), facts)


def _through_codecs(message: MessageType[Any], value: Any) -> Any:
    settled = value
    for encoding in ENCODINGS:
        body, settled = message.settle(value, encoding)
        if message.settle(settled, encoding)[0] != body:
            raise InvalidMessage(f"{message.name} changes when it is stored and read again")
    return settled


def _check_equal(first: Decision[Any], again: Decision[Any], stored_otherwise: Any) -> None:
    """A handler decides the same every time, however its messages are stored."""
    same = _shown(again) == _shown(first) and _bodies(again) == _bodies(first)
    for other in (again, stored_otherwise):
        same = same and other.outcome == first.outcome and other.state == first.state
    if not same:
        stacks = [each.stack for each in (first, again, stored_otherwise) if each.stack]
        raise AssertionError(
            "the handler is not pure: on one command it decided"
            f" {first.outcome} {first.reason} {_bodies(first)}, then"
            f" {again.outcome} {again.reason} {_bodies(again)}, and as MessagePack"
            f" {stored_otherwise.outcome} {stored_otherwise.reason}" + "\n".join(["", *stacks[:1]])
        )


def _bodies(decision: Decision[Any]) -> list[Any]:
    reply = [] if decision.reply is None else [decode_plain(bytes(decision.reply), "json")]
    return [(e.name, decode_plain(bytes(e.body), "json")) for e in decision.events] + reply


def _shown(decision: Decision[Any]) -> list[dict[str, Any]]:
    """Effects as they are recorded: due times, lanes and versions are part of them."""
    return [
        {
            "kind": effect.kind,
            "target": effect.target,
            "lane": effect.lane,
            "due": effect.due,
            "message": effect.message and (effect.message.name, effect.message.version),
            "body": effect.message and decode_plain(bytes(effect.message.body), "json"),
        }
        for effect in decision.effects
    ]
