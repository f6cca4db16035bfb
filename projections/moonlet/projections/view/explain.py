"""Which journals write to a field: with one, its order is enough; with more, its type decides."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from moonlet.projections.fields import TYPES, Field
from moonlet.projections.view.handlers import ViewHandler

ANY: str = "*"
"""Stands in a topology for every agent type that isn't named."""


class Journaled(Protocol):
    """A topology, as far as a view must know it."""

    @property
    def journals(self) -> Mapping[str, Sequence[str]]:
        """Journal → the agent types that live in it, or `["*"]`."""
        ...


class FieldPlan(NamedTuple):
    """How a field converges: who writes to it, in which journals, and why that is enough."""

    field: str
    type: str
    journals: tuple[str, ...]
    handlers: tuple[str, ...]
    needs_crdt: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.field} ({self.type}): {self.reason}"


def explain(
    fields: Iterable[Field],
    handlers: Iterable[ViewHandler],
    topology: Journaled,
    sources: Sequence[Any],
) -> tuple[FieldPlan, ...]:
    """The plan of every field, sorted by name."""
    handlers = tuple(handlers)
    return tuple(_plan(field, handlers, topology, sources) for field in fields)


def _plan(
    field: Field, handlers: Sequence[ViewHandler], topology: Journaled, sources: Sequence[Any]
) -> FieldPlan:
    writers = [h for h in handlers if writes_to(h.function, field.name)]
    journals = sorted({j for h in writers for j in _journals_of(h, handlers, topology, sources)})
    names = tuple(dict.fromkeys(h.function.__qualname__ for h in writers))
    if not writers:
        reason = "no handler writes to it"
    elif len(journals) == 1:
        reason = (
            f"an ordered fold does: everything that writes to it stands in {journals[0]}, which is"
            " totally ordered"
        )
    else:
        reason = (
            f"a CRDT is needed: {', '.join(names)} write to it from {', '.join(journals)}, and"
            f" {TYPES[field.type]}"
        )
    return FieldPlan(field.name, field.label, tuple(journals), names, len(journals) > 1, reason)


def _journals_of(
    handler: ViewHandler,
    handlers: Sequence[ViewHandler],
    topology: Journaled,
    sources: Sequence[Any],
) -> set[str]:
    """The journals in which events that this handler folds may stand."""
    name = handler.message.name
    if handler.source is not None:
        types = {handler.source}
    else:
        narrowed = {h.source for h in handlers if h.message.name == name and h.source is not None}
        types = {s.name for s in sources if name in s.behavior.events} - narrowed
        if not types:
            return set(topology.journals)
    return {
        journal
        for journal, members in topology.journals.items()
        if types & set(members) or ANY in members
    }


def writes_to(function: Callable[..., Any], field: str) -> bool:
    """Whether the handler may write to `field`; one that hands its view on may write to all."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return field in function.__code__.co_names
    view = next(iter(inspect.signature(function).parameters))
    named = {
        id(node.value): node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == view]
    return any(named.get(id(use), field) == field for use in uses)
