"""Forge: plans and executes transactions, and only those that Aegis approved, each once."""

from itertools import pairwise
from typing import Final

from msgspec.structs import asdict

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.common import BPS, peer, require, require_room, share_of, value_of
from moonlet.satellites.forge.events import CALM_GAS, Forge, PlannedTrade, forge
from moonlet.satellites.forge.messages import (
    BacktestStrategy,
    BarRecorded,
    BatchTransactions,
    FlashloanOpportunity,
    MempoolTx,
    MempoolTxSeen,
    RunValidationSuite,
    SandwichDetected,
    TxDenied,
    TxExecuted,
    TxFailed,
    TxPlanned,
    TxRebuilt,
    ValidationCompleted,
)
from moonlet.satellites.forge.momentum import Bar, backtest, signal
from moonlet.satellites.messages import (
    DenyApproval,
    ExecuteOptimizedTransaction,
    GasPrices,
    GrantApproval,
    MarketData,
    RequestApproval,
    Trade,
    TradeExecuted,
    TradeFailed,
)

__all__ = ["forge"]

MAX_PLANS: Final = 64
"""Trades that may wait for Aegis at one time."""

MAX_MEMPOOL: Final = 256

FULL: Final = f"{MAX_PLANS} trades wait for aegis already: try again later"

SLIPPAGE: Final = 5
"""What an undisturbed execution loses to the market, in basis points."""

SANDWICHED: Final = 80
"""What a sandwiched one loses."""

FLASH_MOVE: Final = 200
"""A bar that moves this far (basis points) may pay for a flash loan."""

GAS_UNITS: Final = 250_000
PRIVATE_RELAY: Final = "private-relay"


@forge.on_command
def execute_optimized_transaction(
    state: Forge, command: ExecuteOptimizedTransaction, context: Context
) -> Decision:
    """Plan the trade at the newest price known and ask Aegis; executes nothing itself.

    A satellite that asks while too many wait must hear of it, or it would wait for ever.
    """
    if len(state.plans) >= MAX_PLANS:
        if "/" not in context.sender:
            raise Rejected(FULL)
        yield TxDenied("none", command.trade.id, FULL)
        yield Send(context.sender, TradeFailed(command.trade, FULL), lane="high")
        return
    guard = command.protection
    guarded = guard.mev and guard.sandwich
    units = GAS_UNITS * 9 // 10 if guard.gas_optimization else GAS_UNITS
    yield from _plan(state, command.trade, command.chain, context, guarded=guarded, units=units)
    yield Reply(f"tx-{state.planned + 1}")


@forge.on_command
def batch_transactions(state: Forge, command: BatchTransactions, context: Context) -> Decision:
    """Plan several trades; a batch pays the base of 21,000 gas once."""
    if len({trade.id for trade in command.trades}) < len(command.trades):
        raise Rejected("a batch may hold each trade once")
    if len(state.plans) + len(command.trades) > MAX_PLANS:
        raise Rejected(FULL)
    units = GAS_UNITS - 21_000 + 21_000 // len(command.trades)
    for index, trade in enumerate(command.trades):
        yield from _plan(state, trade, command.chain, context, index=index, units=units)
    yield Reply([f"tx-{state.planned + n}" for n in range(1, len(command.trades) + 1)])


def _plan(
    state: Forge,
    trade: Trade,
    chain: str,
    context: Context,
    *,
    units: int,
    index: int = 0,
    guarded: bool = True,
) -> Decision:
    if trade.id in state.plans or trade.id in state.done:
        raise Rejected(f"trade {trade.id} was planned before")
    if trade.amount == 0:
        raise Rejected(f"trade {trade.id} moves nothing")
    price = _price(state, trade)
    gas = state.gas * units // 1_000_000
    tx = f"tx-{state.planned + index + 1}"
    yield TxPlanned(tx, trade, context.sender, chain, price, gas, guarded)
    yield Send(peer(context, "aegis"), RequestApproval(trade, price, gas), lane="high")


def _price(state: Forge, trade: Trade) -> int:
    """The newest price: the asker may have heard of one that has not come here yet."""
    bars = state.bars.get(trade.asset)
    return bars[-1].close if bars and bars[-1].tick >= trade.tick else trade.price


@forge.on_command
def grant_approval(state: Forge, command: GrantApproval, context: Context) -> Decision:
    """Execute the plan it approves, unless the market left the trade's limit meanwhile."""
    require(context, "aegis", "an approval")
    if command.approval <= state.approval:
        raise Rejected(f"approval {command.approval} was used before")
    plan = state.plans.get(command.trade.id)
    if plan is None:
        raise Rejected(f"no trade {command.trade.id} is planned")
    if plan.trade != command.trade:
        raise Rejected(f"approval {command.approval} is for another trade than was planned")
    yield from _fill(state, plan, command.approval, context)


def _fill(state: Forge, plan: PlannedTrade, approval: int, context: Context) -> Decision:
    trade = plan.trade
    price, gas = _price(state, trade), plan.gas
    attack = _attack(state, plan)
    if attack is not None and plan.guarded:
        loss = share_of(value_of(trade.amount, price), SANDWICHED - SLIPPAGE)
        yield SandwichDetected(plan.tx, attack.trader, attack.hash, loss)
        gas = gas * 12 // 10
        yield TxRebuilt(plan.tx, PRIVATE_RELAY, gas)
    if trade.side == "sell":
        is_caught = attack is not None and not plan.guarded
        price = max(1, price - share_of(price, SANDWICHED if is_caught else SLIPPAGE))
    listeners = {peer(context, "aegis")}
    if "/" in plan.origin:
        listeners.add(plan.origin)
    if price < trade.limit:
        reason = f"the price is {price}, below the limit of {trade.limit}"
        yield TxFailed(plan.tx, trade, approval, reason)
        for agent in sorted(listeners):
            yield Send(agent, TradeFailed(trade, reason), lane="high")
        return
    bars = state.bars.get(trade.asset)
    at = bars[-1].at if bars else 0
    proceeds = value_of(trade.amount, price) if trade.side == "sell" else 0
    yield TxExecuted(plan.tx, trade, approval, price, proceeds, gas, at)
    caught = attack is not None
    report = TradeExecuted(trade, approval, price, proceeds, gas, at, plan.chain, caught)
    for agent in sorted({*listeners, peer(context, "fuel")}):
        yield Send(agent, report, lane="high")


def _attack(state: Forge, plan: PlannedTrade) -> MempoolTx | None:
    """Who is about to run ahead of a plan: the best tip on its asset, above its own gas."""
    seen = [
        tx
        for tx in state.mempool.values()
        if tx.asset == plan.trade.asset
        and tx.tip > plan.gas
        and tx.from_tick <= plan.trade.tick
        and plan.trade.side == "sell"
    ]
    return max(seen, key=lambda tx: (tx.tip, tx.hash), default=None)


@forge.on_command
def deny_approval(state: Forge, command: DenyApproval, context: Context) -> Decision:
    """Drop the plan and tell whoever wanted it."""
    require(context, "aegis", "a refusal")
    plan = state.plans.get(command.trade)
    if plan is None:
        raise Rejected(f"no trade {command.trade} is planned")
    yield TxDenied(plan.tx, command.trade, command.reason)
    if "/" in plan.origin:
        yield Send(plan.origin, TradeFailed(plan.trade, command.reason), lane="high")


@forge.on_command
def market_data(state: Forge, command: MarketData, context: Context) -> Decision:
    """Record the bar; say when momentum changes its mind; tell Fuel what gas costs."""
    require(context, "oracle", "market data")
    bars = state.bars.get(command.asset, ())
    if bars and command.tick <= bars[-1].tick:
        raise Rejected(f"the bar of tick {command.tick} is not after tick {bars[-1].tick}")
    move = (command.close - command.open) * BPS // command.open
    gas = CALM_GAS + CALM_GAS * min(abs(move), 1_000) // 100
    bar = Bar(command.tick, command.at, command.close)
    yield BarRecorded(command.asset, bar.tick, bar.at, bar.close, gas)
    new = signal(command.asset, (*bars, bar))
    if new.action != state.actions.get(command.asset, "hold"):
        yield new
    if abs(move) >= FLASH_MOVE:
        yield FlashloanOpportunity(command.asset, command.tick, move)
    yield Send(peer(context, "fuel"), GasPrices("ethereum", gas, command.tick), lane="low")


@forge.on_command
def mempool_tx(state: Forge, command: MempoolTx) -> Decision:
    """Watch somebody's pending transaction."""
    require_room(state.mempool, command.hash, "mempool transactions", MAX_MEMPOOL)
    yield MempoolTxSeen(**asdict(command))


@forge.on_command
def run_validation_suite(state: Forge, command: RunValidationSuite) -> Decision:
    """Check what must always hold; replies with what does not."""
    checks = {
        "a plan is done already": not set(state.plans) & set(state.done),
        "more was executed than approved": state.executed + state.failed <= state.approval,
        "more was settled than planned": state.executed + state.failed <= state.planned,
        "bars are out of order": all(
            before.tick < after.tick
            for bars in state.bars.values()
            for before, after in pairwise(bars)
        ),
    }
    faults = tuple(name for name, holds in checks.items() if not holds)
    yield ValidationCompleted(len(checks), faults)
    yield Reply(faults)


@forge.on_command
def backtest_strategy(state: Forge, command: BacktestStrategy) -> Decision:
    """Run the momentum strategy over the dollar token's bars."""
    bars = state.bars.get("USDC", ())
    if len(bars) <= command.window:
        raise Rejected(f"{len(bars)} bars are too few for a window of {command.window}")
    outcome = backtest(bars, command.window, command.capital)
    yield outcome
    yield Reply(outcome)
