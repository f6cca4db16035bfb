"""A view: named fields, and the handlers that fold events of any journal into them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar, overload

from moonlet.core.behavior import Behavior
from moonlet.core.ids import AgentId, check_name
from moonlet.projections.errors import InvalidView
from moonlet.projections.fields import Field, read_field
from moonlet.projections.view.explain import FieldPlan, Journaled, explain
from moonlet.projections.view.handlers import ViewHandler, read_handlers
from moonlet.projections.view.purity import check_pure

F = TypeVar("F", bound=Callable[..., Any])


class KnownAgentType(Protocol):
    """An agent type, as far as a view must know it."""

    @property
    def name(self) -> str:
        """The agent type's name."""
        ...

    @property
    def behavior(self) -> Behavior[Any]:
        """Its tables, for the event classes it records."""
        ...


class View:
    """A shared view: `View("exposure", version=1, total=LexCounter, risk=MVRegister)`.

    Every journal event with the schema name of a handler's class is folded by that handler. Raise
    `version` whenever a field or a handler changes: replicas of two versions don't mix.
    """

    def __init__(self, name: str, *, version: int, **fields: Any) -> None:
        self.name = check_name(name, "view")
        if not isinstance(version, int) or not 1 <= version < 2**31:
            raise InvalidView(f"view {name}: versions count from 1, not {version!r}")
        if not fields:
            raise InvalidView(f"view {name} has no field: give it one, like total=LexCounter")
        self.version = version
        self.fields: Mapping[str, Field] = {
            field: read_field(name, field, fields[field]) for field in sorted(fields)
        }
        self._handlers: dict[tuple[str, str | None], ViewHandler] = {}
        self.general: dict[str, ViewHandler] = {}
        """Schema name → the handler for all sources."""
        self.narrowed: set[str] = set()
        """Schema names that some handler takes of one source only."""

    @overload
    def on_event(self, function: F, *, source: KnownAgentType | str | None = None) -> F: ...

    @overload
    def on_event(self, *, source: KnownAgentType | str | None = None) -> Callable[[F], F]: ...

    def on_event(
        self, function: F | None = None, *, source: KnownAgentType | str | None = None
    ) -> Callable[[F], F] | F:
        """Fold an event: `(view: Fields, event: EventClass, at: At) -> None`.

        `source` narrows to one agent type. The handler only writes; it must not read a clock,
        chance, the outside or the view. Raises `InvalidView` where it is declared.
        """
        name = source if isinstance(source, str) or source is None else source.name

        def register(function: F) -> F:
            self._register(function, name)
            return function

        return register if function is None else register(function)

    def _register(self, function: Callable[..., Any], source: str | None) -> None:
        where = f"@{self.name}.on_event {getattr(function, '__qualname__', function)!s}"
        for handler in read_handlers(function, self.name, source):
            key = (handler.message.name, source)
            first = self._handlers.get(key)
            if first is not None:
                raise InvalidView(
                    f"{where}: {handler.message.name} is handled by"
                    f" {first.function.__qualname__} already: remove one, or narrow them by source="
                )
            check_pure(function, where)
            self._handlers[key] = handler
            if source is None:
                self.general[handler.message.name] = handler
            else:
                self.narrowed.add(handler.message.name)

    @property
    def handlers(self) -> tuple[ViewHandler, ...]:
        """All handlers, in the order declared."""
        return tuple(self._handlers.values())

    def handler_for(self, name: str, agent: str) -> ViewHandler | None:
        """Who folds the event `name` of `agent` (`type/key`): its own handler, or the general."""
        if name not in self.narrowed:
            return self.general.get(name)
        return self._handlers.get((name, AgentId.parse(agent).type)) or self.general.get(name)

    def check(self, sources: Iterable[KnownAgentType]) -> None:
        """Refuse what only the agent types can show; raises `InvalidView`.

        Refused: a schema name under which two agent types record different classes, handled
        without a source; and a class that isn't the one its source records.
        """
        sources = tuple(sources)
        for handler in self._handlers.values():
            name = handler.message.name
            recorded = {
                source.name: source.behavior.events[name].message.cls
                for source in sources
                if name in source.behavior.events
                and handler.source in (None, source.name)
                and (handler.source is not None or (name, source.name) not in self._handlers)
            }
            classes = set(recorded.values())
            if len(classes) > 1:
                raise InvalidView(
                    f"view {self.name}: {', '.join(sorted(recorded))} record different classes"
                    f" under the name {name!r}: narrow {handler.function.__qualname__} by"
                    " @on_event(source=...), one handler for each"
                )
            if handler.source in recorded and classes != {handler.message.cls}:
                raise InvalidView(
                    f"view {self.name}: {handler.function.__qualname__} takes {name} of"
                    f" {handler.source}, but that agent type records another class of this name:"
                    " annotate the handler with that one"
                )

    def explain(
        self, topology: Journaled, sources: Iterable[KnownAgentType] = ()
    ) -> tuple[FieldPlan, ...]:
        """For each field and this topology: does an ordered fold do, or is a CRDT needed, and why.

        `sources` are the agent types that are known; an event that none of them records, and no
        handler narrows, may come from any journal.
        """
        return explain(self.fields.values(), self._handlers.values(), topology, tuple(sources))
