"""Messages that several satellites take: prices, ratings, a trade's life, capital."""

from typing import Literal

from msgspec import Struct

from moonlet.satellites.units import Amount, Money, Name, Price, Share, Text, Tick, Time

Purpose = Literal["reduce", "harvest", "reallocate"]
Side = Literal["sell", "move"]
Risk = Literal["low", "medium", "high", "critical"]


class Prices(Struct, frozen=True):
    """The price that Oracle vouches for; `confidence` is the share of sources that agree."""

    asset: Name
    price: Price
    tick: Tick
    at: Time
    confidence: Share = 10_000


class ProtocolRating(Struct, frozen=True):
    """Sage's opinion of a protocol: `score` 0 to 100, higher is safer."""

    protocol: Name
    score: int
    risk: Risk
    tick: Tick


class Trade(Struct, frozen=True):
    """What a satellite wants done, and the price it saw when it asked.

    A sale names the `position` it relieves, which owes `debt`, or the tax `lot` it closes; a move
    takes `amount` from the protocol `source` to `target`. `limit` is the lowest price that will do.
    """

    id: Name
    purpose: Purpose
    asset: Name
    side: Side
    amount: Amount
    price: Price
    limit: Price
    tick: Tick
    position: str = ""
    debt: Money = 0
    lot: str = ""
    source: str = ""
    target: str = ""


class TradeExecuted(Struct, frozen=True):
    """Forge's report: done, under which approval, at which price, for what."""

    trade: Trade
    approval: int
    price: Price
    proceeds: Money
    gas: Money
    at: Time
    chain: Name
    sandwiched: bool = False


class TradeFailed(Struct, frozen=True):
    """Forge's report: not done and not going to be; nothing was sold or moved."""

    trade: Trade
    reason: Text


class CapitalGranted(Struct, frozen=True):
    """Fuel has set capital aside for a request of this agent."""

    request: Name
    amount: Money


class CapitalDenied(Struct, frozen=True):
    """Fuel has not."""

    request: Name
    reason: Text
