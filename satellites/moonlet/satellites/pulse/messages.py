"""Pulse's messages: yields, stakes, allocations."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from moonlet.satellites.common import Amount, Money, Name, Share, Text, Tick

Category = Literal["sustainable", "watch", "unsustainable"]
Advice = Literal["hold", "reduce", "exit"]
Yield = Annotated[int, Meta(ge=0, le=1_000_000)]

# commands


class YieldOpportunity(Struct, frozen=True):
    """What a protocol pays per year, in basis points, and what Pulse already holds there."""

    protocol: Name
    apy: Yield
    held: Amount = 0


class StakingPosition(Struct, frozen=True):
    """A stake: its validator, amount, and yield per year in basis points."""

    validator: Name
    amount: Amount
    apy: Yield


class ProtocolDiscovery(Struct, frozen=True):
    """A protocol that somebody has heard of."""

    protocol: Name
    apy: Yield
    tvl: Money


class OptimizeYield(Struct, frozen=True):
    """Propose how to spread capital: tolerance 0 (safe only) to 10,000, days, and what to avoid."""

    capital: Amount
    risk_tolerance: Share = 5_000
    time_horizon: Annotated[int, Meta(ge=1, le=3_650)] = 365
    preferences: tuple[Name, ...] = ()
    constraints: tuple[Name, ...] = ()


class OptimizeStaking(Struct, frozen=True):
    """Name the validator with the best yield for more stake, none over half of it all."""

    amount: Amount


class DiscoverProtocols(Struct, frozen=True):
    """Take in those protocols heard of that pay at least `min_apy` and hold `min_tvl`."""

    min_apy: Yield = 0
    min_tvl: Money = 0


class GetHealth(Struct, frozen=True):
    """How Pulse is; as a command it stands in the journal."""


# queries


class YieldOptimization(Struct, frozen=True):
    """The allocations as they are, and the yield they make."""


class StakingOptimization(Struct, frozen=True):
    """The stakes as they are."""


class SystemStatus(Struct, frozen=True):
    """How Pulse is."""


# events


class YieldNoted(Struct, frozen=True):
    """What a protocol pays; `held` was there already."""

    protocol: Name
    apy: Yield
    held: Amount


class StakeNoted(Struct, frozen=True):
    """A stake was taken in."""

    validator: Name
    amount: Amount
    apy: Yield


class ProtocolHeardOf(Struct, frozen=True):
    """A protocol waits to be discovered."""

    protocol: Name
    apy: Yield
    tvl: Money


class ProtocolDiscovered(Struct, frozen=True):
    """A protocol was taken in."""

    protocol: Name
    apy: Yield


class YieldOptimizationCompleted(Struct, frozen=True):
    """A proposed spread of capital and its yield in basis points."""

    capital: Amount
    shares: dict[Name, Amount]
    apy: Yield


class StakingOptimizationCompleted(Struct, frozen=True):
    """Where more stake should go; '' if every validator is full."""

    validator: str
    amount: Amount


class PegNoted(Struct, frozen=True):
    """The price that moves rest on, and whether it is inside the band."""

    asset: Name
    inside: bool
    tick: Tick
    price: int


class SustainabilityAlert(Struct, frozen=True):
    """A protocol's category got worse."""

    protocol: Name
    before: Category
    after: Category
    advice: Advice
    score: int


class ProtocolRated(Struct, frozen=True):
    """A protocol's category and score as Sage sees it."""

    protocol: Name
    score: int
    category: Category


class MoveProposed(Struct, frozen=True):
    """Capital should go from one protocol to another; it waits for Aegis and Forge."""

    trade: Name
    source: Name
    target: Name
    amount: Amount


class MoveDropped(Struct, frozen=True):
    """A proposed move came to nothing; its target is left alone until the next rating."""

    trade: Name
    target: Name
    reason: Text


class RebalanceExecuted(Struct, frozen=True):
    """Capital moved from one protocol to another."""

    trade: Name
    source: Name
    target: Name
    amount: Amount


class RedeploymentRequested(Struct, frozen=True):
    """Fuel was asked for cash to buy back in, now that the token is at its peg."""

    request: Name
    amount: Money


class RedeploymentSettled(Struct, frozen=True):
    """Fuel's answer to it."""

    request: Name
    granted: Money
    reason: Text


class BacktestCompleted(Struct, frozen=True):
    """What an optimized spread would have earned in its time, in micro-tokens."""

    capital: Amount
    days: int
    earned: Amount
