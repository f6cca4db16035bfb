"""A trade's life: planned by Forge, allowed or denied by Aegis, executed once or not at all."""

from typing import Literal

from msgspec import Struct

from moonlet.satellites.common import Amount, Money, Name, Price, Text, Tick, Time

Purpose = Literal["reduce", "harvest", "reallocate"]
Side = Literal["sell", "move"]


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


class Protection(Struct, frozen=True):
    """What to guard a transaction against."""

    mev: bool = True
    sandwich: bool = True
    gas_optimization: bool = True


class ExecuteOptimizedTransaction(Struct, frozen=True):
    """Plan a trade and have Aegis judge it; nothing is executed without its approval."""

    trade: Trade
    chain: Name = "ethereum"
    protection: Protection = Protection()


class RequestApproval(Struct, frozen=True):
    """Forge asks whether a planned trade may be executed, at this price and cost."""

    trade: Trade
    price: Price
    gas: Money


class GrantApproval(Struct, frozen=True):
    """Aegis allows the planned trade: execute it, once."""

    approval: int
    trade: Trade


class DenyApproval(Struct, frozen=True):
    """Aegis forbids the planned trade."""

    trade: Name
    reason: Text


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
