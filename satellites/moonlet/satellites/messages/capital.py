"""Capital: asked of Fuel, granted or denied by it, and brought back."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from moonlet.satellites.common import Money, Name, Text, Time

CapitalUse = Literal["arbitrage", "buy"]


class AllocateCapital(Struct, frozen=True):
    """Set cash of a wallet aside for the sender, who is told whether it may be used."""

    request: Name
    wallet: Name
    amount: Annotated[int, Meta(gt=0, le=10**15)]
    use: CapitalUse
    asset: Name
    at: Time


class CapitalGranted(Struct, frozen=True):
    """Fuel has set capital aside for a request of this agent."""

    request: Name
    amount: Money


class CapitalDenied(Struct, frozen=True):
    """Fuel has not."""

    request: Name
    reason: Text


class SettleTransfer(Struct, frozen=True):
    """Bring back what was set aside: `returned` arrives in a wallet, the rest was fees or loss."""

    request: Name
    wallet: Name
    returned: Money
