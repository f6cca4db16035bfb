"""One leg of a transfer: the call to the venue, its answers, its timer."""

from typing import Literal

from msgspec import Struct

from moonlet.satellites.common import Basis, Money, Name, Text

Action = Literal["lock", "release", "unlock"]


class LegSettled(Struct, frozen=True):
    """The venue: a leg is done, and this much is on the other side of it."""

    execution: Name
    action: Action
    amount: Money
    receipt: str


class LegFailed(Struct, frozen=True):
    """The venue: a leg was refused, nothing moved."""

    execution: Name
    action: Action
    reason: Text


class CheckLeg(Struct, frozen=True):
    """A leg's timer: note an incident if it is still under way."""

    execution: Name
    action: Action


class TransferLeg(Struct, frozen=True):
    """A call to the venue: one leg of an execution.

    `gain` (basis points) is what the leg adds to the amount, or takes as its fee; `refuse` scripts
    a failure.
    """

    execution: Name
    action: Action
    chain: Name
    amount: Money
    gain: Basis = 0
    refuse: bool = False
