"""What an agent type does: decide a command, evolve a state. Pure; the tables are its code's.

A handler is a generator, or a function that returns None or an iterable of events and effects.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from types import GeneratorType
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from moonlet.core.codec import Encoding
from moonlet.core.commit import Decoded, Effect, Event, Outcome
from moonlet.core.effects import EFFECTS, Cancel, Perform, Publish, Reply, Schedule, Send
from moonlet.core.errors import (
    MAX_REASON,
    Invalid,
    MoonletError,
    Rejected,
    UnknownCommand,
    in_words,
    stack_of,
    where_of,
    words,
)
from moonlet.core.fold import MAX_EFFECTS
from moonlet.core.hlc import to_micros
from moonlet.core.ids import AgentId, check_lane, check_name, check_topic
from moonlet.core.schema import ENCODERS, MessageType, encode_plain, is_message_class

S = TypeVar("S")


class Handler(msgspec.Struct, frozen=True):
    """A registered function, the message it takes, and whether it takes the context too."""

    message: MessageType[Any]
    function: Callable[..., Any]
    wants_context: bool = False


class DecisionContext(Protocol):
    """What `decide` itself needs of the handler's context."""

    @property
    def now_us(self) -> int:
        """The time of the commit, in microseconds since 1970."""
        ...


class Decision(msgspec.Struct, Generic[S]):
    """What came of a command, ready to be recorded; `state` is the state after its events."""

    outcome: Outcome
    state: S
    events: tuple[Event[msgspec.Raw], ...] = ()
    effects: tuple[Effect[msgspec.Raw], ...] = ()
    reply: msgspec.Raw | None = None
    reason: str = ""
    error: str = ""
    stack: str = ""
    where: str = ""


class Behavior(Generic[S]):
    """The tables of one agent type: command and event handlers by schema name."""

    __slots__ = ("_classes", "_event_classes", "commands", "events", "initial")

    def __init__(self, initial: Callable[[], S]) -> None:
        self.initial = initial
        self.commands: dict[str, Handler] = {}
        self.events: dict[str, Handler] = {}
        self._event_classes: dict[type, Handler] = {}
        self._classes: dict[type, MessageType[Any]] = {}

    def add_event(self, handler: Handler) -> None:
        """Register an event handler."""
        self.events[handler.message.name] = handler
        self._event_classes[handler.message.cls] = handler

    def message_type(self, cls: type) -> MessageType[Any]:
        """The codecs of a class that is sent and not handled here; made once."""
        known = self._classes.get(cls)
        if known is None:
            known = self._classes[cls] = MessageType(cls)
        return known

    def evolve(self, state: S, event: Any) -> S:
        """The state after one typed event. Raises whatever the handler raises."""
        return _evolved(self._event_classes[type(event)].function, state, event)

    def fold(self, state: S, commits: Iterable[Decoded]) -> S:
        """The state after the typed events of decoded commits, in their order."""
        handlers = self._event_classes
        for commit in commits:
            for event in commit.events:
                state = _evolved(handlers[type(event)].function, state, event)
        return state

    def evolve_stored(self, state: S, event: Event[Any], encoding: Encoding) -> S:
        """The state after one stored event, its body still encoded or plain data."""
        handler = self.events.get(event.name)
        if handler is None:
            raise UnknownCommand(
                f"no on_event handles {event.name!r}, which the journal holds: add it to the code"
            )
        if type(event.body) is msgspec.Raw:
            typed = handler.message.decode(event.body, event.version, encoding)
        else:
            typed = handler.message.convert(event.body, event.version)
        return _evolved(handler.function, state, typed)

    def decide(
        self,
        state: S,
        handler: Handler,
        command: Any,
        context: DecisionContext,
        encoding: Encoding,
        yielded: list[Any] | None = None,
    ) -> Decision[S]:
        """Run the handler and record what it yields. Raises nothing of the handler's own.

        If `yielded` is given, what it yields is added as it came, and recorded also if a reader
        would get something else: as it was once.

        Rejected: all yields are discarded. Whatever else it raises (a cancellation and an exit too:
        nothing of ours is awaited here), and a yield that is neither a handled event nor an effect,
        parks the command; nothing of it is kept either.
        """
        try:
            return self._decide(state, handler, command, context, encoding, yielded)
        except Rejected as rejected:
            return Decision("rejected", state, reason=words(rejected.reason, MAX_REASON))
        except BaseException as error:
            return parked(state, error)

    def _decide(
        self,
        state: S,
        handler: Handler,
        command: Any,
        context: DecisionContext,
        encoding: Encoding,
        yielded: list[Any] | None,
    ) -> Decision[S]:
        function = handler.function
        result = (
            function(state, command, context) if handler.wants_context else function(state, command)
        )
        events: list[Event[msgspec.Raw]] = []
        effects: list[Effect[msgspec.Raw]] = []
        reply: msgspec.Raw | None = None
        for item in _yields(result, function):
            if yielded is not None:
                yielded.append(item)
            kind = type(item)
            event_handler = self._event_classes.get(kind)
            if event_handler is not None:
                message = event_handler.message
                body, settled = (
                    message.settle(item, encoding)
                    if yielded is None
                    else message.write(item, encoding)
                )
                events.append(Event(message.name, msgspec.Raw(body), message.version))
                state = _evolved(event_handler.function, state, settled)
            elif kind is Reply:
                if reply is not None:
                    raise Invalid("a second Reply was yielded: one command has one answer")
                value = item.value
                if type(value) is int and -(2**63) <= value < 2**63:  # as most replies are
                    reply = msgspec.Raw(ENCODERS[encoding](value))
                else:
                    reply = msgspec.Raw(encode_plain(value, encoding))
            elif kind in EFFECTS:
                effects.append(self._record(item, context, encoding, yielded is not None))
            else:
                raise Invalid(_not_an_event(item))
            if len(events) > MAX_EFFECTS or len(effects) > MAX_EFFECTS:
                raise Invalid(f"over {MAX_EFFECTS} events or effects were yielded by one command")
        return Decision("accepted", state, tuple(events), tuple(effects), reply)

    def _record(
        self, effect: Any, context: DecisionContext, encoding: Encoding, anyway: bool
    ) -> Effect[msgspec.Raw]:
        if isinstance(effect, Send):
            target = str(AgentId.parse(effect.agent))
            message = self._message(effect.command, encoding, anyway)
            return Effect("send", target, lane=check_lane(effect.lane), message=message)
        if isinstance(effect, Publish):
            body = effect.body
            if is_message_class(type(body)):
                message = self._message(body, encoding, anyway)
            else:
                message = Event("", msgspec.Raw(encode_plain(body, encoding)))
            return Effect("publish", check_topic(effect.topic), message=message)
        if isinstance(effect, Schedule):
            due = _due(effect, context.now_us)
            message = self._message(effect.command, encoding, anyway)
            return Effect("schedule", check_name(effect.name, "timer"), message=message, due=due)
        if isinstance(effect, Cancel):
            return Effect("cancel", check_name(effect.name, "timer"))
        assert isinstance(effect, Perform)
        return Effect("perform", message=self._message(effect.call, encoding, anyway))

    def _message(self, message: Any, encoding: Encoding, anyway: bool) -> Event[msgspec.Raw]:
        cls = type(message)
        if not is_message_class(cls):
            raise Invalid(
                f"{message!r:.100} is no message: use a msgspec.Struct, a dataclass or a pydantic"
                " model"
            )
        known = self.message_type(cls)
        body, _ = (known.write if anyway else known.settle)(message, encoding)
        return Event(known.name, msgspec.Raw(body), known.version)


def parked(state: S, error: BaseException) -> Decision[S]:
    """The decision that parks a command for an error of its handler."""
    return Decision(
        "parked",
        state,
        reason=in_words(error),
        error=type(error).__name__ if isinstance(error, MoonletError) else "",
        stack=stack_of(error),
        where=where_of(error),
    )


def _evolved(function: Callable[..., Any], state: S, event: Any) -> S:
    evolved: S = function(state, event)
    if evolved is None and state is not None:
        raise TypeError(
            f"{getattr(function, '__name__', function)} returned None: return the state after"
            f" {type(event).__name__}"
        )
    return evolved


def _yields(result: Any, function: Callable[..., Any]) -> Iterable[Any]:
    if result is None:
        return ()
    if type(result) is GeneratorType:
        return result
    if isinstance(result, Iterable) and not (
        # Sets have no order that a replay could repeat, pydantic models iterate their fields.
        isinstance(result, str | bytes | dict | set | frozenset) or is_message_class(type(result))
    ):
        return result
    raise Invalid(
        f"{getattr(function, '__name__', function)} returned {type(result).__name__}: yield events"
        " and effects, or return None or a list of them"
    )


def _not_an_event(item: Any) -> str:
    name = type(item).__name__
    return (
        f"{name} was yielded, which is neither an effect nor an event with an on_event handler:"
        f" add one for {name}, or wrap it in Send or Reply"
    )


def _due(effect: Schedule, now_us: int) -> int:
    if (effect.after is None) == (effect.at is None):
        raise Invalid("Schedule takes either `after` or `at`")
    if effect.at is not None:
        if not isinstance(effect.at, datetime):
            raise Invalid(f"Schedule(at={effect.at!r:.100}): give an aware datetime")
        if effect.at.utcoffset() is None:
            raise Invalid(f"Schedule(at={effect.at!r}) has no time zone: use an aware datetime")
        return to_micros(effect.at)
    after = effect.after
    assert after is not None
    seconds = after.total_seconds() if isinstance(after, timedelta) else float(after)
    if not 0 <= seconds <= 3_155_760_000:
        raise Invalid(f"Schedule(after={after!r}): give 0 seconds to 100 years")
    return now_us + round(seconds * 1_000_000)
