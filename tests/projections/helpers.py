"""A small view, and commits for it, as tests write them by hand."""

from typing import Any

import msgspec

from moonlet.core.commit import Command, Commit, Event
from moonlet.core.hlc import Timestamp
from moonlet.core.schema import schema_of
from moonlet.projections import (
    At,
    AWSet,
    Fields,
    JournalId,
    LexCounter,
    LWWRegister,
    MVRegister,
    Observed,
    ORMap,
    View,
    ViewState,
)

CREATED = "2026-01-01T00:00:00Z+0"


class Opened(msgspec.Struct, frozen=True):
    protocol: str
    usd: int


class Forgot(msgspec.Struct, frozen=True):
    protocol: str
    seen: Observed | None = None


class Raised(msgspec.Struct, frozen=True):
    alert: str


class Acknowledged(msgspec.Struct, frozen=True):
    alert: str
    seen: Observed | None = None


class Rated(msgspec.Struct, frozen=True):
    risk: Any
    seen: Observed | None = None


def exposure_view(version: int = 1, name: str = "exposure") -> View:
    """Counters by protocol, open alerts, a risk that may be in conflict, a latest note."""
    view = View(
        name,
        version=version,
        alerts=AWSet,
        by_protocol=ORMap[LexCounter],
        notes=ORMap[LWWRegister],
        risk=MVRegister,
        total=LexCounter,
    )

    @view.on_event
    def opened(fields: Fields, event: Opened, at: At) -> None:
        fields.total.add(event.usd)
        fields.by_protocol[event.protocol].add(event.usd)
        fields.notes[event.protocol].set(f"opened by {at.agent}")

    @view.on_event
    def forgot(fields: Fields, event: Forgot, at: At) -> None:
        fields.by_protocol.remove(event.protocol)

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        fields.alerts.add(event.alert)

    @view.on_event
    def acknowledged(fields: Fields, event: Acknowledged, at: At) -> None:
        fields.alerts.remove(event.alert)

    @view.on_event
    def rated(fields: Fields, event: Rated, at: At) -> None:
        fields.risk.set(event.risk)

    return view


def journals(*names: str, incarnation: str = CREATED) -> list[JournalId]:
    return [JournalId(name, incarnation) for name in names or ("asia", "eu", "us")]


def new_state(view: View | None = None) -> ViewState:
    return ViewState(view or exposure_view(), journals())


def commit(
    sequence: int, *events: Any, agent: str = "aegis/main", micros: int = 0
) -> Commit[msgspec.Raw]:
    """A commit as a replica reads it, its bodies still encoded."""
    return Commit(
        agent=agent,
        revision=sequence,
        outcome="accepted",
        command=Command(id="c", name="Do", body=msgspec.Raw(b"null")),
        time=Timestamp(micros or sequence),
        sequence=sequence,
        digest=f"digest {sequence}",
        events=tuple(
            Event(schema_of(type(e))[0], msgspec.Raw(msgspec.json.encode(e)), schema_of(type(e))[1])
            for e in events
        ),
    )
