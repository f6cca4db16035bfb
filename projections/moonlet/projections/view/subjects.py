"""The subjects of a view: where its replicas talk, what they read, where a snapshot stands."""

from collections.abc import Mapping
from typing import Final, Protocol

from moonlet.projections.errors import InvalidView
from moonlet.projections.view.view import View
from moonlet.streams import Bus, Subjects, Topology

EVERYTHING: Final = (">",)


class Mapped(Protocol):
    """What journals are read from, a bus or a copy: which there are, and their subjects."""

    @property
    def topology(self) -> Topology:
        """Which agent types are in which journal."""
        ...

    @property
    def subjects(self) -> Subjects:
        """The map of subjects, under its prefix."""
        ...


def heartbeat_subject(bus: Bus, view: View) -> str:
    """Where replicas say how far they are."""
    return f"{bus.subjects.prefix}.view.{view.name}.heartbeats"


def replica_subject(bus: Bus, view: View, name: str) -> str:
    """Where one replica is asked for deltas."""
    return f"{bus.subjects.prefix}.view.{view.name}.{name}"


def control_subject(bus: Bus, view: str, name: str) -> str:
    """Where one replica takes orders; `name` is the one that its file keeps."""
    return f"{bus.subjects.prefix}.view.{view}.control.{name}"


def snapshot_subject(bus: Bus, view: View, leaf: str) -> str:
    """Where a part of the view's snapshot stands; `leaf` is `head`, or `<hash>.<n>`."""
    return snapshot_subjects(bus, view, str(view.version), leaf)


def snapshot_subjects(bus: Bus, view: View, version: str, leaf: str) -> str:
    """As `snapshot_subject`, of another version; both may be wildcards."""
    return f"{bus.subjects.prefix}.snap.view.{view.name}.{version}.{leaf}"


def journals_of(bus: Mapped, view: View) -> Mapping[str, tuple[str, ...]]:
    """The journal streams that the view folds, each with the subjects it reads there.

    All of all, unless every handler is narrowed by `source=`: then only those agent types.
    """
    topology = bus.topology
    sources = {handler.source for handler in view.handlers}
    if None in sources:
        return dict.fromkeys(topology.journal_streams, EVERYTHING)
    found: dict[str, tuple[str, ...]] = {}
    for source in sorted(name for name in sources if name is not None):
        stream = topology.journal_of(source)
        subject = f"{bus.subjects.prefix}.evt.{source}.*"
        found[stream] = (*found.get(stream, ()), subject)
    if not found:
        raise InvalidView(f"view {view.name} has no handler: write one with @{view.name}.on_event")
    return found
