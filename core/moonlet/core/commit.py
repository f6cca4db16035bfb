"""The record of one command: its identity, its outcome, all its events and all its effects.

`Commit[Any]`, what users see, has bodies as plain data. The runtime reads `Commit[Raw]`, whose
bodies stay encoded until a typed decoder takes them.
"""

from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

from moonlet.core.hlc import Timestamp
from moonlet.core.ids import Lane

Outcome = Literal["accepted", "rejected", "expired", "parked", "repaired"]
EffectKind = Literal["send", "publish", "schedule", "cancel", "perform"]

B = TypeVar("B")


class Decodes(Protocol):
    """Whoever knows the classes behind schema names: an agent type."""

    def decode_command(self, name: str, version: int, body: Any) -> Any:
        """The typed command of plain data."""
        ...

    def decode_event(self, name: str, version: int, body: Any) -> Any:
        """The typed event of plain data."""
        ...


class Command(msgspec.Struct, Generic[B], frozen=True, omit_defaults=True, gc=False):
    """The command as the agent received it; `sequence` is its mailbox message's.

    `stored` is when the server stored that message, in µs since 1970 by its clock; 0 in commits
    that were written before this was recorded.
    `by_id`: its number was further ahead than a client's may be, so it is known by its id instead.
    """

    id: str
    name: str
    body: B
    version: int = 1
    lane: Lane = "medium"
    sequence: int = 0
    sender: str = ""
    number: int = 0
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""
    deadline: int = 0
    timer: str = ""
    call: str = ""
    by_id: bool = False
    stored: int = 0


class Event(msgspec.Struct, Generic[B], frozen=True, omit_defaults=True, gc=False):
    """One event of a commit: the schema's name and version, and the body."""

    name: str
    body: B
    version: int = 1


class Effect(msgspec.Struct, Generic[B], frozen=True, omit_defaults=True, gc=False):
    """What the host does after the commit. Which fields are set depends on `kind`.

    send: agent, lane, message. publish: target is the topic, message. schedule: target is the
    timer's name, due (µs since 1970), message. cancel: target. perform: message is the call.
    The reply is a field of the commit, since it is the answer and not a cause.
    """

    kind: EffectKind
    target: str = ""
    lane: Lane = "medium"
    message: Event[B] | None = None
    due: int = 0


class Skip(msgspec.Struct, frozen=True, omit_defaults=True):
    """What readers leave out at `sequence`: a whole record, or the events of a commit.

    Behind a record the agent's history goes on at `revision`, `digest`. `why` it can't be read.
    """

    sequence: int
    what: Literal["record", "events"]
    revision: int = 0
    digest: str = ""
    why: str = ""


class Repair(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who had what left out of an agent's history, and why: all of it, earlier repairs' too."""

    by: str
    why: str
    skips: tuple[Skip, ...]


class Commit(msgspec.Struct, Generic[B], frozen=True, omit_defaults=True, gc=False):
    """One command's record. Immutable; a refusal is a commit too.

    `revision` counts an agent's commits from 1; `sequence` is the journal's. `reason` says why it
    was not accepted, `error` names the error class when it was not the agent itself that refused.
    `time` grows from commit to commit; where it is over a second ahead of the wall time, since a
    clock was wrong once, `wall` has that, in µs since 1970. `dispatched` is the revision up to
    which effects were known to be out. `epoch` counts the losses of the journal that an operator
    had accepted. `digest` covers the
    stored bytes, which hold `previous_digest`: a chain per agent. `repair` makes it a repair, which
    has no command of anybody's; `repaired` is the sequence of the agent's last one before.
    `stored` is when the server stored it, in µs since 1970 by its clock; 0 where it was not read
    from a journal. `where` says in which line a parked command's handler raised.
    """

    agent: str
    revision: int
    outcome: Outcome
    command: Command[B]
    time: Timestamp
    reason: str = ""
    error: str = ""
    events: tuple[Event[B], ...] = ()
    effects: tuple[Effect[B], ...] = ()
    reply: Any = None
    app_version: str = ""
    previous_digest: str = ""
    dispatched: int = 0
    epoch: int = 0
    repair: Repair | None = None
    repaired: int = 0
    sequence: int = 0
    digest: str = ""
    wall: int = 0
    where: str = ""
    stored: int = 0

    @property
    def wall_us(self) -> int:
        """The wall time by which it was decided, in µs since 1970."""
        return self.wall or self.time.micros

    def decode(self, agent_type: Decodes) -> "Decoded":
        """The typed command and events, by the agent type's own classes.

        For a `Commit[Any]`, bodies plain. Raises `UnknownCommand` and `InvalidMessage`, as a
        command that was refused for one of these would.
        """
        return Decoded(
            command=agent_type.decode_command(
                self.command.name, self.command.version, self.command.body
            ),
            events=tuple(agent_type.decode_event(e.name, e.version, e.body) for e in self.events),
        )


class Decoded(msgspec.Struct, frozen=True):
    """The typed messages of one commit."""

    command: Any
    events: tuple[Any, ...]


def place(commit: Commit[B], sequence: int, digest: str, stored: int = 0) -> Commit[B]:
    """Say where, and when, a commit just read or written is stored; returns the same object."""
    msgspec.structs.force_setattr(commit, "sequence", sequence)
    msgspec.structs.force_setattr(commit, "digest", digest)
    msgspec.structs.force_setattr(commit, "stored", stored)
    return commit


def plain(commit: Commit[Any]) -> dict[str, Any]:
    """All fields as plain data, defaults included: what `--json` shows."""
    fields: dict[str, Any] = _plain(commit)
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, Timestamp):
        return {
            "micros": value.micros,
            "counter": value.counter,
            "datetime": value.datetime.isoformat(),
        }
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
