"""What an agent's commits add up to: its state, and what its host must remember of them.

`Fold` is the only way to either, live or replayed, so that equal commits give equal folds.
"""

from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

import msgspec

from moonlet.core.codec import Encoding
from moonlet.core.commit import Command, Commit, Event, Skip
from moonlet.core.digest import GENESIS, canonical
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Corrupt, InvalidMessage
from moonlet.core.hlc import Timestamp
from moonlet.core.memory import NOTHING_LEFT, Past, Upto, Windows
from moonlet.core.schema import decode_plain

S = TypeVar("S")

_ENCODINGS: Final[tuple[Encoding, ...]] = ("json", "msgpack")

MAX_EFFECTS: Final = 1_024
"""Events, and effects, that one commit may hold at most."""

IDS: Final = 4_096
"""How many ids of commands without a number an agent has in memory: the last ones."""


EPOCH_NUMBERS: Final = 2**40
"""Numbers of effects in one epoch of a journal: beyond 2**30 revisions of an agent."""


def effect_number(revision: int, index: int, epoch: int = 0) -> int:
    """The number of an effect among all of its agent's: grows with epoch, revision and index.

    Revisions that were lost with a journal's end are given out again; their numbers are not.
    """
    return epoch * EPOCH_NUMBERS + revision * MAX_EFFECTS + index


def body_digest(name: str, body: Any) -> str:
    """Tells two commands of one id apart; `body` is plain data, the order of its keys no matter."""
    return blake2b(canonical([name, body]), digest_size=8).hexdigest()


def message_digest(message: Event[Any] | Envelope | Command[Any]) -> str:
    """The `body_digest` of a message that says its version."""
    return body_digest(f"{message.name}/{message.version}", plain_body(message.body))


class Where(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An effect of a commit: the commit's revision and sequence, the effect's index in it.

    `message` is the `message_digest` of the command that a timer fires; empty of a call, and in
    snapshots that are older than it.
    """

    revision: int
    sequence: int
    index: int
    message: str = ""


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A committed command without a number: its commit's sequence, and `body_digest`."""

    sequence: int
    body: str


class Fold(Generic[S]):
    """The fold of one agent's commits 1 … `revision`. Changed only by `advance`."""

    __slots__ = (
        "calls",
        "caused",
        "digest",
        "dispatched",
        "ids",
        "past",
        "repaired",
        "revision",
        "sequence",
        "state",
        "time",
        "timers",
        "windows",
    )

    def __init__(self, state: S) -> None:
        self.state = state
        self.revision = 0
        self.sequence = 0
        self.digest = GENESIS
        self.dispatched = 0
        self.caused = 0
        """The last revision that has effects, or was parked."""
        self.repaired = 0
        self.time = Timestamp(0, 0)
        self.windows = Windows()
        self.past = NOTHING_LEFT
        self.ids: dict[str, Seen] = {}
        self.timers: dict[str, Where] = {}
        self.calls: dict[str, Where] = {}

    def advance(self, commit: Commit[Any], state: S, *, body: str = "") -> None:
        """Take in the next commit, stored at `commit.sequence`, and the state after its events.

        `body` is the `body_digest` of a command without a number; from the commit itself if left
        out. Raises `Corrupt` for a commit that is not the next, leaving the fold as it was.
        """
        self._check_next(commit)
        self.state = state
        self.revision = commit.revision
        self.sequence = commit.sequence
        self.digest = commit.digest
        self.time = commit.time
        if commit.dispatched > self.dispatched:
            self.dispatched = commit.dispatched
        if commit.repaired or commit.repair is not None:
            self.repaired = commit.repaired if commit.repair is None else commit.sequence
        self._remember_command(commit, body)
        if commit.effects or commit.outcome == "parked":
            self.caused = commit.revision
        for index, effect in enumerate(commit.effects):
            if effect.kind == "schedule":
                assert effect.message is not None
                self.timers[effect.target] = Where(
                    commit.revision, commit.sequence, index, message_digest(effect.message)
                )
            elif effect.kind == "cancel":
                self.timers.pop(effect.target, None)
            elif effect.kind == "perform":
                self.calls[call_id(commit.agent, commit.revision, index)] = Where(
                    commit.revision, commit.sequence, index
                )

    def fires(self, firing: Envelope) -> bool:
        """Whether this is the command that its timer, which is open, was set to fire."""
        where = self.timers[firing.timer]
        known = not where.message or where.message == message_digest(firing)
        return known and firing.id == call_id(firing.agent, where.revision, where.index)

    def skip(self, skip: Skip) -> None:
        """Pass over a record that a repair leaves out."""
        assert skip.what == "record"
        self.revision, self.digest, self.sequence = skip.revision, skip.digest, skip.sequence

    def _check_next(self, commit: Commit[Any]) -> None:
        if commit.revision != self.revision + 1 or commit.previous_digest != self.digest:
            raise Corrupt(
                f"{commit.agent}: the commit at sequence {commit.sequence} is revision"
                f" {commit.revision} after {commit.previous_digest or 'nothing'}, but revision"
                f" {self.revision + 1} after {self.digest or 'nothing'} comes next: history was"
                " changed; run `moonlet verify`, then restore the journal from a backup, or have it"
                f" left out: `moonlet repair {commit.agent}`",
                sequence=commit.sequence,
            )

    def _remember_command(self, commit: Commit[Any], body: str) -> None:
        command = commit.command
        if command.timer:
            open_timer = self.timers.get(command.timer)
            if open_timer is not None and open_timer.revision == command.number:
                del self.timers[command.timer]
        elif command.call:
            self.calls.pop(command.call, None)
        elif command.number and command.sender:
            past = self.past
            if past.any and (command.sender, command.lane) not in past.whole:
                past.bring_back(self.windows, (command.sender, command.lane))
            if command.by_id:
                left = self.windows.doubt(command.sender, command.lane)
                self._remember_id(commit, body)
            else:
                left = self.windows.add(command.sender, command.lane, command.number)
            if left is not None:
                self.own_past().add_window(*left)
        else:
            self._remember_id(commit, body)
        if self.past.any and self.past.is_full:
            self.past.settle(Upto(commit.revision, commit.sequence, commit.digest))

    def own_past(self) -> Past:
        """Its past, to be changed; until then it shares one with all that have none."""
        if self.past is NOTHING_LEFT:
            self.past = Past()
        return self.past

    def _remember_id(self, commit: Commit[Any], body: str) -> None:
        command = commit.command
        digest = body or body_digest(command.name, plain_body(command.body))
        self.ids.setdefault(command.id, Seen(commit.sequence, digest))
        if len(self.ids) > IDS:
            id = next(iter(self.ids))
            seen = self.ids.pop(id)
            self.own_past().add_id(id, seen.sequence, seen.body)


def plain_body(body: Any) -> Any:
    """The plain data of a body that may still be encoded (as JSON, or else MessagePack).

    None for one that nobody can read, which is how it is recorded.
    """
    if not isinstance(body, msgspec.Raw):
        return body
    data = bytes(body)
    for encoding in _ENCODINGS:
        try:
            return decode_plain(data, encoding)
        except InvalidMessage:
            continue
    return None


def call_id(agent: str, revision: int, index: int) -> str:
    """The id of a call, and of any message that an effect causes."""
    return f"{agent}:{revision}.{index}"


def revision_of(call: str) -> int:
    """The revision that made the call of this id, which may come from outside; 0 if none did."""
    number = call.rpartition(":")[2].partition(".")[0]
    return int(number) if len(number) < 20 and number.isascii() and number.isdigit() else 0
