"""Forge's agent type, how its state follows from events, and what can be asked of it."""

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from moonlet.agents import AgentType
from moonlet.satellites.forge.messages import (
    Action,
    BarRecorded,
    FlashloanOpportunity,
    MempoolTx,
    MempoolTxSeen,
    SandwichDetected,
    Status,
    StrategyBacktested,
    TradingSignal,
    TxDenied,
    TxExecuted,
    TxFailed,
    TxPlanned,
    TxRebuilt,
    ValidationCompleted,
)
from moonlet.satellites.forge.momentum import Bar
from moonlet.satellites.messages import Trade

MAX_BARS: Final = 96
"""Bars remembered of an asset."""

MAX_DONE: Final = 256
"""Trade ids remembered as done, so that none is planned again."""

CALM_GAS: Final = 12_000_000
"""What a million units of gas cost on a quiet tick, in micro-dollars; synthetic."""


class PlannedTrade(Struct, frozen=True):
    """A trade that waits for Aegis; `origin` is who wants it."""

    tx: str
    trade: Trade
    origin: str
    chain: str
    price: int
    gas: int
    guarded: bool


class Forge(Struct, frozen=True):
    """Plans by trade id, the highest approval used, bars by asset, the mempool by hash."""

    plans: dict[str, PlannedTrade] = {}
    done: tuple[str, ...] = ()
    planned: int = 0
    executed: int = 0
    failed: int = 0
    approval: int = 0
    bars: dict[str, tuple[Bar, ...]] = {}
    actions: dict[str, Action] = {}
    gas: int = CALM_GAS
    mempool: dict[str, MempoolTx] = {}


forge = AgentType("forge", Forge, partitions=1)


@forge.on_event
def tx_planned(state: Forge, event: TxPlanned) -> Forge:
    """The trade waits for Aegis."""
    plan = PlannedTrade(**asdict(event))
    plans = {**state.plans, event.trade.id: plan}
    return replace(state, planned=state.planned + 1, plans=plans)


@forge.on_event
def tx_denied(state: Forge, event: TxDenied) -> Forge:
    """The plan is dropped."""
    return _settled(state, event.trade)


@forge.on_event
def tx_executed(state: Forge, event: TxExecuted) -> Forge:
    """The plan is done and its approval spent."""
    done = replace(state, executed=state.executed + 1, approval=event.approval)
    return _settled(done, event.trade.id)


@forge.on_event
def tx_failed(state: Forge, event: TxFailed) -> Forge:
    """The plan is dropped and its approval spent."""
    failed = replace(state, failed=state.failed + 1, approval=event.approval)
    return _settled(failed, event.trade.id)


@forge.on_event
def sandwich_detected(state: Forge, event: SandwichDetected) -> Forge:
    """The attacker's transaction went nowhere: it is watched no longer."""
    left = {hash: tx for hash, tx in state.mempool.items() if hash != event.hash}
    return replace(state, mempool=left)


@forge.on_event
def bar_recorded(state: Forge, event: BarRecorded) -> Forge:
    """Keep the last bars, and what gas costs."""
    bars = (*state.bars.get(event.asset, ()), Bar(event.tick, event.at, event.close))[-MAX_BARS:]
    return replace(state, bars={**state.bars, event.asset: bars}, gas=event.gas)


@forge.on_event
def trading_signal(state: Forge, event: TradingSignal) -> Forge:
    """Remember it, so that only a change is told."""
    return replace(state, actions={**state.actions, event.asset: event.action})


@forge.on_event
def mempool_tx_seen(state: Forge, event: MempoolTxSeen) -> Forge:
    """Watch it until it is dealt with."""
    return replace(state, mempool={**state.mempool, event.hash: MempoolTx(**asdict(event))})


@forge.on_event
def kept_in_the_journal(
    state: Forge,
    event: TxRebuilt | FlashloanOpportunity | ValidationCompleted | StrategyBacktested,
) -> Forge:
    """Nothing later depends on these."""
    return state


@forge.on_query
def status(state: Forge, query: Status) -> dict[str, Any]:
    """Trades waiting, done and failed, the last signal by asset, the mempool's size."""
    return {
        "waiting": sorted(state.plans),
        "executed": state.executed,
        "failed": state.failed,
        "approval": state.approval,
        "signals": state.actions,
        "mempool": len(state.mempool),
    }


def _settled(state: Forge, trade: str) -> Forge:
    plans = {id: plan for id, plan in state.plans.items() if id != trade}
    return replace(state, plans=plans, done=(*state.done, trade)[-MAX_DONE:])
