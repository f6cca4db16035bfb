"""What can go wrong with a view, as the caller sees it. All hang on the core's tree.

Undecodable
  PoisonedEvent       an event's handler failed: this view stops there, its state unchanged
Corrupt
  DeltaRefused        a delta that is damaged, or of another view (`fault`)
  JournalFault        a journal isn't the one that was folded (`fault`): nothing more is served
  DatabaseCorrupt     a view's file is damaged or was replaced: delete it, rebuild
Conflict
  DeltaGap            a delta that starts after our frontier: ask from ours
  DatabaseConflict    another replica writes to the same file
Unavailable
  DatabaseLocked      another process holds the file's lock
Invalid
  InvalidView         a view whose declaration is wrong
    ImpureFold        fold code that reads more than its event
  InvalidDatabase     a file of another view, version or place, or one we may not write
"""

from typing import Literal

from moonlet.core.errors import Conflict, Corrupt, Invalid, Unavailable, Undecodable

Fault = Literal[
    "view", "version", "filter", "incarnation", "damaged", "forged", "ahead of the journal"
]


Break = Literal["gone", "re-created", "rolled back", "rolled back and grown", "retention hole"]


class PoisonedEvent(Undecodable):
    """An event can't be folded: `stream`, `sequence`, `index`, `type`; the cause is chained.

    The state is as it was before the commit. Skip it, retry, or add an upcaster.
    """

    def __init__(
        self, message: str, *, view: str, stream: str, sequence: int, index: int, type: str
    ) -> None:
        super().__init__(message, stream=stream, sequence=sequence, type=type)
        self.view = view
        self.index = index


class DeltaRefused(Corrupt):
    """A delta that can't be joined, whatever comes before it; the state is unchanged."""

    def __init__(self, message: str, *, fault: Fault) -> None:
        super().__init__(message)
        self.fault: Fault = fault


class DeltaGap(Conflict):
    """A delta that starts after the receiver's frontier; the state is unchanged."""


class JournalFault(Corrupt):
    """A journal isn't the one whose commits the view holds; nothing is served until it is."""

    def __init__(self, message: str, *, fault: Break, stream: str, sequence: int = 0) -> None:
        super().__init__(message, stream=stream, sequence=sequence)
        self.fault: Break = fault


class DatabaseCorrupt(Corrupt):
    """The file is damaged, half-written, deleted or replaced: delete it and rebuild."""


class DatabaseConflict(Conflict):
    """Another replica wrote to the same file since we did; ours stopped."""


class DatabaseLocked(Unavailable):
    """Another process holds the file's lock; nothing was written."""


class InvalidView(Invalid):
    """The declaration of a view is wrong; the message names the function and the fix."""


class ImpureFold(InvalidView):
    """Fold code reads a clock, chance, the outside or a view's state: replicas would differ."""


class InvalidDatabase(Invalid):
    """The file holds another view, version or journals, or can't be written here."""
