"""Forge's messages: batches, strategies, what the mempool shows, what became of trades."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from moonlet.satellites.common import Amount, Money, Name, Price, Share, Text, Tick, Time
from moonlet.satellites.messages import Trade

Action = Literal["buy", "sell", "hold"]


# commands


class BatchTransactions(Struct, frozen=True):
    """Plan several trades as one batch that shares its gas; each needs an approval of its own."""

    trades: Annotated[tuple[Trade, ...], Meta(min_length=1, max_length=16)]
    chain: Name = "ethereum"


class RunValidationSuite(Struct, frozen=True):
    """Check Forge's own books."""


class BacktestStrategy(Struct, frozen=True):
    """Trade the prices seen so far by momentum: hold while above the mean of `window` closes."""

    window: Annotated[int, Meta(ge=2, le=48)] = 6
    capital: Money = 1_000_000_000


class MempoolTx(Struct, frozen=True):
    """Someone's pending transaction; one that outbids ours on the same asset wants to sandwich."""

    hash: Name
    asset: Name
    trader: Name
    amount: Amount
    tip: Money
    from_tick: Tick = 0


# queries


class Status(Struct, frozen=True):
    """What is planned, done and seen."""


# events


class TxPlanned(Struct, frozen=True):
    """A trade waits for Aegis."""

    tx: Name
    trade: Trade
    origin: str
    chain: Name
    price: Price
    gas: Money
    guarded: bool


class TxDenied(Struct, frozen=True):
    """Aegis said no; the plan is dropped."""

    tx: Name
    trade: Name
    reason: Text


class SandwichDetected(Struct, frozen=True):
    """A mempool transaction is about to run ahead of ours; `loss` is what it would take."""

    tx: Name
    attacker: Name
    hash: Name
    loss: Money


class TxRebuilt(Struct, frozen=True):
    """The transaction goes to a private relay instead, for a higher fee."""

    tx: Name
    relay: Name
    gas: Money


class TxExecuted(Struct, frozen=True):
    """A trade was executed under Aegis's approval."""

    tx: Name
    trade: Trade
    approval: int
    price: Price
    proceeds: Money
    gas: Money
    at: Time


class TxFailed(Struct, frozen=True):
    """An approved trade could not be executed within its limit; the approval is spent."""

    tx: Name
    trade: Trade
    approval: int
    reason: Text


class BarRecorded(Struct, frozen=True):
    """A bar was added to the history that strategies see."""

    asset: Name
    tick: Tick
    at: Time
    close: Price
    gas: Money


class MempoolTxSeen(Struct, frozen=True):
    """A pending transaction is watched."""

    hash: Name
    asset: Name
    trader: Name
    amount: Amount
    tip: Money
    from_tick: Tick


class TradingSignal(Struct, frozen=True):
    """The momentum strategy changed its mind."""

    asset: Name
    tick: Tick
    action: Action
    strength: Share
    confidence: Share
    risk_level: Share


class FlashloanOpportunity(Struct, frozen=True):
    """A bar moved so far that a flash loan across venues may pay."""

    asset: Name
    tick: Tick
    move: int


class ValidationCompleted(Struct, frozen=True):
    """The outcome of a validation suite: what is wrong, if anything."""

    checks: int
    faults: tuple[Text, ...]


class StrategyBacktested(Struct, frozen=True):
    """What the strategy would have made of its capital."""

    window: int
    bars: int
    trades: int
    final: Money
