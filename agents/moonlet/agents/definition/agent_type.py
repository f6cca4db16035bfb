"""An agent type: a name, an initial state, and the handlers that decorators add to it.

A value, not a base class, and registered nowhere: two of them may have one name.
"""

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar, overload

import msgspec

from moonlet.agents.definition.app_version import package_version
from moonlet.agents.definition.call_handler import CallHandler, CallPolicy, Resource, RetryOn
from moonlet.agents.definition.failure_type import FailureType
from moonlet.agents.definition.fold_code import fold_code
from moonlet.agents.definition.signature import Signature, mentions, read_signature
from moonlet.agents.definition.state_codec import StateCodec
from moonlet.agents.definition.unkept_fields import refuse_unkept
from moonlet.core.behavior import Behavior, Handler
from moonlet.core.effects import EFFECTS, Perform, PerformFailed, Reply
from moonlet.core.errors import InvalidAgentType, UnknownCommand
from moonlet.core.ids import check_name
from moonlet.core.likeness import is_fixed
from moonlet.core.schema import MessageType, Upcast, find_upcasts, schema_of

S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", bound=Handler)

VERSION_MAX = 64
"""Characters of an application's version."""

DEFAULT_PARTITIONS = 4
"""How many partitions an agent type's agents map to, unless it says otherwise."""


class AgentType(Generic[S]):
    """What agents of one type do. `state` is their state's class, `initial` its first value.

    Without `initial` a new agent starts as `state()`, refused if that needs arguments. `partitions`
    bounds on how many hosts the type can run; it is fixed once the type has been registered.
    Another `fold_version` sets all snapshots aside: give one if events are folded otherwise and
    that can't be told from the code, which is read from a file or is not Python's.

    `version` is the application's, which stands in commits and leases: by default that of the
    package that the first handler is in. Where hosts run several, what an older one can't read it
    leaves to a newer one.

    `max_calls` is how many calls of the type a host runs at a time (64). `resources` open what its
    calls need beside the call, each when the first call wants it; `on_perform` names it among its
    parameters. A host's own resources take the place of these.
    """

    def __init__(
        self,
        name: str,
        state: type[S],
        *,
        initial: S | None = None,
        partitions: int = DEFAULT_PARTITIONS,
        upcasts: tuple[Upcast, ...] = (),
        fold_version: int | str = 0,
        version: str | None = None,
        max_calls: int | None = None,
        resources: Mapping[str, Resource] = MappingProxyType({}),
    ) -> None:
        self.name = check_name(name, "agent type")
        if type(partitions) is not int or not 1 <= partitions <= 256:
            raise InvalidAgentType(
                f"agent type {name}: partitions are 1 to 256, not {partitions!r}"
            )
        self.partitions = partitions
        self.fold_version = fold_version
        if version is not None and (not isinstance(version, str) or len(version) > VERSION_MAX):
            raise InvalidAgentType(
                f"agent type {name}: version={version!r:.80}: at most {VERSION_MAX} characters"
            )
        self._version = version
        self.state = state
        self.states: StateCodec[S] = StateCodec(state)
        self.behavior: Behavior[S] = Behavior(_initial(name, state, initial))
        self.queries: dict[str, Handler] = {}
        self.performs: dict[str, CallHandler] = {}
        if max_calls is not None and (type(max_calls) is not int or not 1 <= max_calls <= 10_000):
            raise InvalidAgentType(f"agent type {name}: max_calls={max_calls!r}: give 1 to 10,000")
        self.max_calls = max_calls
        self.resources = dict(resources)
        self._upcasts = find_upcasts(upcasts)
        self._signatures: list[tuple[str, Signature]] = []
        self._deciders: list[Callable[..., Any]] = []
        self._results: list[tuple[str, Signature]] = []
        self._modules: set[str] = set()
        self._state_code: str | None = None

    def on_command(self, function: F) -> F:
        """Decide a command: `(state, command[, context])`, yielding events and effects."""
        signature = self._read(function, "on_command", leading=1, extras=("context",))
        for cls in signature.classes:
            handler = Handler(self._message_type(cls), function, signature.wants_context)
            self._add(self.behavior.commands, handler, "on_command")
        return function

    def on_event(self, function: F) -> F:
        """Evolve the state: `(state, event) -> state`; must not mutate, read a clock or raise."""
        signature = self._read(function, "on_event", leading=1, extras=())
        for cls in signature.classes:
            handler = Handler(self._message_type(cls), function)
            self._refuse_second(self.behavior.events, handler, "on_event")
            self.behavior.add_event(handler)
            self._state_code = None
        return function

    def on_query(self, function: F) -> F:
        """Answer a query from acknowledged state: `(state, query[, context]) -> answer`."""
        signature = self._read(function, "on_query", leading=1, extras=("context",))
        for cls in signature.classes:
            handler = Handler(self._message_type(cls), function, signature.wants_context)
            self._add(self.queries, handler, "on_query")
        return function

    @overload
    def on_perform(self, function: F) -> F: ...

    @overload
    def on_perform(
        self,
        *,
        attempts: int = ...,
        retry_on: RetryOn = ...,
        attempt_timeout: float = ...,
        timeout: float = ...,
        wait: float = ...,
        wait_max: float = ...,
    ) -> Callable[[F], F]: ...

    def on_perform(self, function: Any = None, **policy: Any) -> Any:
        """Do a call's work: `(call[, call_id][, resource ...]) -> message`, at least once.

        It may do I/O. An `async def` runs on an event loop of the host's calls, a `def` in a thread
        of its own: neither keeps agents waiting. With arguments, those of `CallPolicy`:
        `@account.on_perform(attempts=5, retry_on=OSError)`.
        """
        if function is None:
            return lambda function: self._on_perform(function, CallPolicy(**policy))
        return self._on_perform(function, CallPolicy())

    def _on_perform(self, function: F, policy: CallPolicy) -> F:
        signature = self._read(function, "on_perform", leading=0, extras=("call_id",))
        policy.check(f"@{self.name}.on_perform {function.__qualname__}")
        for cls in signature.classes:
            handler = CallHandler(
                self._message_type(cls),
                function,
                signature.wants_call_id,
                tuple(inspect.signature(function).parameters)[1:],
                policy,
                inspect.iscoroutinefunction(function),
            )
            self._add(self.performs, handler, "on_perform")
        return function

    @property
    def version(self) -> str:
        """The application's version; empty if it has none."""
        return self._version or ""

    def check(self) -> None:
        """Refuse what can only be seen when all handlers are there; raises `InvalidAgentType`.

        Called by `Host`, `moonlet run` and simulations. Collects upcasts from the modules that
        hold the handlers and messages, too.
        """
        self._collect_upcasts()
        refuse_unkept(f"agent type {self.name}: the state", self.state)
        for name, event in self.behavior.events.items():
            refuse_unkept(f"agent type {self.name}: the event {name}", event.message.cls)
        for handlers in (self.behavior.commands, self.behavior.events, self.queries, self.performs):
            for handler in handlers.values():
                missing = handler.message.missing_upcasts
                if missing:
                    name, version = handler.message.name, handler.message.version
                    raise InvalidAgentType(
                        f"agent type {self.name}: {name} is at version {version}, but has no upcast"
                        f" from version {missing[0]}: write @upcast({name!r}, {missing[0]})"
                    )
        for function, signature in self._signatures:
            for cls in signature.returned:
                handled = self.behavior.events.get(schema_of(cls)[0])
                known = handled is not None and handled.message.cls is cls
                if not known and cls not in (*EFFECTS, Reply):
                    raise InvalidAgentType(
                        f"agent type {self.name}: {function} may yield {cls.__name__}, which has no"
                        f" on_event handler: add one"
                    )
        self._check_calls()

    def _check_calls(self) -> None:
        """Refuse calls that nobody could run, and results that nobody would hear of."""
        for function in self._deciders:
            if not self.performs and mentions(function, Perform):
                raise InvalidAgentType(
                    f"agent type {self.name}: {function.__qualname__} yields Perform, and the type"
                    " has no on_perform handler: add one for the call"
                )
        for name, signature in self._results:
            for cls in signature.returned:
                handlers = self.behavior.commands.values()
                if schema_of(cls)[0] not in self.behavior.commands and not any(
                    issubclass(handler.message.cls, cls) for handler in handlers
                ):
                    raise InvalidAgentType(
                        f"agent type {self.name}: {name} returns {cls.__name__}, which has no"
                        f" on_command handler, so nobody would hear of the result: add one"
                    )

    def decode_command(self, name: str, version: int, body: Any) -> Any:
        """The typed command of plain data; raises `UnknownCommand`, `InvalidMessage`."""
        handler = self.behavior.commands.get(name)
        if handler is None:
            raise UnknownCommand(self.unknown_command(name))
        return handler.message.convert(body, version)

    def decode_event(self, name: str, version: int, body: Any) -> Any:
        """The typed event of plain data; raises `UnknownCommand`, `InvalidMessage`."""
        handler = self.behavior.events.get(name)
        if handler is None:
            raise UnknownCommand(f"agent type {self.name} has no event {name!r}")
        return handler.message.convert(body, version)

    def unknown_command(self, name: str) -> str:
        """What to say when `name` is no command of this type."""
        known = ", ".join(sorted(self.behavior.commands)) or "none"
        return f"agent type {self.name} has no command {name!r}; it has: {known}"

    def state_code(self) -> str:
        """Tells the code of folding apart, so that a snapshot is never used with another's.

        That is the state's class, the event handlers, and all that they reach: helpers, methods,
        constants, tables. For what can't be followed, as a file that is read, is `fold_version`.
        """
        if self._state_code is None:
            events = sorted(self.behavior.events.items())
            roots: list[object] = [self.state, _shape(self.state), self.behavior.initial()]
            for name, handler in events:
                message = handler.message
                roots += [name, message.version, message.cls, handler.function, *message.upcasts]
            self._state_code = fold_code(self.fold_version, roots)
        return self._state_code

    def encode_state(self, state: S) -> bytes:
        """The state as MessagePack, for snapshots; raises what can't be encoded."""
        return self.states.encode(state)

    def decode_state(self, data: bytes) -> S:
        """The state of `encode_state`; raises msgspec's or pydantic's errors if it doesn't fit."""
        return self.states.decode(data)

    def _read(
        self, function: Callable[..., Any], decorator: str, *, leading: int, extras: tuple[str, ...]
    ) -> Signature:
        may_wait = decorator == "on_perform"
        is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        where = f"@{self.name}.{decorator} {getattr(function, '__qualname__', function)}"
        if is_async and not may_wait:
            raise InvalidAgentType(
                f"{where}: handlers are pure and can't be `async def`: write `def`, and yield"
                " Perform(...) for work outside"
            )
        if may_wait and (
            inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
        ):
            raise InvalidAgentType(f"{where}: a call has one result: return it, don't yield")
        signature = read_signature(
            function,
            f"{self.name}.{decorator}",
            leading=leading,
            extras=extras,
            resources=may_wait,
            state=self.state,
        )
        if decorator == "on_command":
            self._signatures.append((function.__qualname__, signature))
            self._deciders.append(function)
        elif may_wait:
            self._results.append((function.__qualname__, signature))
        self._modules.add(function.__module__)
        if self._version is None:
            self._version = package_version(function.__module__)
        self._modules.update(cls.__module__ for cls in signature.classes)
        return signature

    def _message_type(self, cls: type) -> MessageType[Any]:
        self._collect_upcasts()
        if cls is PerformFailed:
            return FailureType(self.performs)
        return MessageType(cls, self._upcasts)

    def _collect_upcasts(self) -> None:
        for module in sorted(self._modules):
            found = find_upcasts(
                vars(sys.modules[module]).values() if module in sys.modules else ()
            )
            for key, function in found.items():
                self._upcasts.setdefault(key, function)
        for handlers in (self.behavior.commands, self.behavior.events, self.queries, self.performs):
            for handler in handlers.values():
                handler.message.take_upcasts(self._upcasts)

    def _add(self, table: dict[str, H], handler: H, decorator: str) -> None:
        self._refuse_second(table, handler, decorator)
        table[handler.message.name] = handler

    def _refuse_second(
        self, table: Mapping[str, Handler], handler: Handler, decorator: str
    ) -> None:
        first = table.get(handler.message.name)
        if first is not None:
            raise InvalidAgentType(
                f"@{self.name}.{decorator} {handler.function.__qualname__}:"
                f" {handler.message.name} is handled by {first.function.__qualname__} already:"
                " remove one, or give its class another name with @schema"
            )


def _initial(name: str, state: type[S], initial: S | None) -> Callable[[], S]:
    """Makes an agent's first state: each its own, whatever is done to another's."""
    if initial is not None:
        return (lambda: initial) if is_fixed(initial) else (lambda: copy.deepcopy(initial))
    try:
        first = state()
    except Exception as error:
        raise InvalidAgentType(
            f"agent type {name}: {state.__name__}() can't be made without arguments ({error}):"
            " give its fields defaults, or pass initial="
        ) from None
    return state if is_fixed(first) else (lambda: copy.deepcopy(state()))


def _shape(state: type) -> Any:
    """The JSON schema of a state's class, or its fields where msgspec has no schema for it."""
    schema = getattr(state, "model_json_schema", None)
    try:
        return schema() if schema is not None else msgspec.json.schema(state)
    except TypeError:
        return sorted(getattr(state, "__annotations__", {}).items(), key=str)
