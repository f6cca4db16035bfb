"""Aegis's messages: positions, alerts, what was approved, what-if runs."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from moonlet.satellites.common import Amount, Money, Name, Price, Share, Signed, Text, Tick
from moonlet.satellites.messages import Trade

Level = Literal["safe", "warning", "critical", "emergency"]
Alarm = Literal[
    "liquidation_risk",
    "position_size_exceeded",
    "protocol_exposure_exceeded",
    "price_impact_high",
    "contract_vulnerability",
    "mev_exposure",
]

# commands


class SetCapital(Struct, frozen=True):
    """The capital that the limit per protocol is a share of."""

    capital: Money


class AddPosition(Struct, frozen=True):
    """Watch a position; `threshold` is the share of its collateral that may be borrowed.

    `price` is used until Oracle has sent one for the asset.
    """

    id: Name
    protocol: Name
    asset: Name
    collateral: Amount
    debt: Money
    threshold: Share
    price: Price


class UpdatePosition(Struct, frozen=True):
    """Set a position's collateral and debt; it is booked anew at today's price."""

    id: Name
    collateral: Amount
    debt: Money


class RemovePosition(Struct, frozen=True):
    """Stop watching a position."""

    id: Name


class AcknowledgeAlert(Struct, frozen=True):
    """Someone has seen an open alert."""

    alert: int
    by: Text


class ExecuteLiquidation(Struct, frozen=True):
    """Ask Forge to sell as much of a critical position as pays all its debt."""

    position: Name


class RunStressTest(Struct, frozen=True):
    """Apply a built-in scenario, or every one if none is named, to the positions as they are."""

    scenario: Text = ""


class RunMonteCarloSimulation(Struct, frozen=True):
    """Walk prices at random: `volatility` is a tick's standard deviation in basis points."""

    paths: Annotated[int, Meta(ge=1, le=1_000)] = 200
    ticks: Annotated[int, Meta(ge=1, le=240)] = 24
    volatility: Annotated[int, Meta(ge=1, le=2_000)] = 100


# queries


class GetPositionHealth(Struct, frozen=True):
    """The health of one position, or of all."""

    position: str = ""


class GetAlerts(Struct, frozen=True):
    """Alerts that nobody has acknowledged, oldest first."""

    level: Level | None = None


# events


class CapitalSet(Struct, frozen=True):
    """The capital from now on."""

    capital: Money


class PositionAdded(Struct, frozen=True):
    """A position is watched; `book` is its worth when it was added."""

    id: Name
    protocol: Name
    asset: Name
    collateral: Amount
    debt: Money
    threshold: Share
    price: Price
    book: Money
    health: int


class PositionUpdated(Struct, frozen=True):
    """A position's new figures; `change` is that of its book value, for whoever sums them."""

    id: Name
    protocol: Name
    collateral: Amount
    debt: Money
    book: Money
    change: Signed
    health: int


class PositionRemoved(Struct, frozen=True):
    """A position is no longer watched."""

    id: Name
    protocol: Name
    book: Money


class CollateralPriced(Struct, frozen=True):
    """Every position in the asset is valued at this price from now on."""

    asset: Name
    price: Price
    tick: Tick


class RiskAlert(Struct, frozen=True):
    """Something fell below a level, or rose above a limit; raised once for each time it does.

    `health` is in basis points (0 where the alarm is not about health).
    """

    alert: int
    kind: Alarm
    level: Level
    subject: Name
    protocol: Name
    health: int
    tick: Tick


class AlertAcknowledged(Struct, frozen=True):
    """An alert is no longer open."""

    alert: int
    by: Text


class ProtocolFlagged(Struct, frozen=True):
    """Sage rates a protocol critical, or no longer."""

    protocol: Name
    is_critical: bool


class ReductionRequested(Struct, frozen=True):
    """Forge was asked to sell collateral of a position and pay its debt."""

    position: Name
    trade: Trade


class ReductionSettled(Struct, frozen=True):
    """What was asked for a position has been done, or has failed and is asked again."""

    position: Name
    trade: Name
    done: bool


class TradeApproved(Struct, frozen=True):
    """A trade may be executed once, under this number. Numbers rise, and never come twice."""

    approval: int
    trade: Trade
    reserved: Money


class TradeRefused(Struct, frozen=True):
    """A trade may not be executed."""

    trade: Trade
    reason: Text


class ReservationReleased(Struct, frozen=True):
    """An approved move has been executed, or never will be: its room counts no longer."""

    trade: Name


class StressTestCompleted(Struct, frozen=True):
    """What a scenario would do: `loss` of equity and the positions that would be liquidated."""

    scenario: Text
    loss: Money
    liquidated: tuple[Name, ...]


class MonteCarloCompleted(Struct, frozen=True):
    """Losses over all paths: their 95 % quantile, the worst, the share that liquidates."""

    paths: int
    ticks: int
    value_at_risk: Money
    worst: Money
    liquidating: Share
