"""Pulse's agent type, how its state follows from events, and what can be asked of it."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from moonlet.agents import AgentType
from moonlet.satellites.messages import AlertClosed
from moonlet.satellites.pulse.allocation import AllocationMove, blended
from moonlet.satellites.pulse.messages import (
    BacktestCompleted,
    Category,
    MoveDropped,
    MoveProposed,
    PegNoted,
    ProtocolDiscovered,
    ProtocolHeardOf,
    ProtocolRated,
    RebalanceExecuted,
    RedeploymentRequested,
    RedeploymentSettled,
    StakeNoted,
    StakingOptimization,
    StakingOptimizationCompleted,
    SustainabilityAlert,
    SystemStatus,
    YieldNoted,
    YieldOptimization,
    YieldOptimizationCompleted,
)


class Pulse(Struct, frozen=True):
    """Amounts held, yields and ratings by protocol; stakes by validator; moves under way.

    `barred`: targets that Aegis refused, until they are rated again. `redeploying` is the request
    for cash that Fuel has not answered.
    """

    held: dict[str, int] = {}
    yields: dict[str, int] = {}
    scores: dict[str, int] = {}
    categories: dict[str, Category] = {}
    moves: dict[str, AllocationMove] = {}
    barred: tuple[str, ...] = ()
    stakes: dict[str, tuple[int, int]] = {}
    heard: dict[str, ProtocolHeardOf] = {}
    inside: bool = True
    tick: int = 0
    price: int = 0
    numbered: int = 0
    redeploying: str = ""
    redeployed: int = 0


pulse = AgentType("pulse", Pulse, partitions=1)


@pulse.on_event
def yield_noted(state: Pulse, event: YieldNoted) -> Pulse:
    """Keep the yield, and what was held already."""
    held = {**state.held, event.protocol: state.held.get(event.protocol, 0) + event.held}
    return replace(state, held=held, yields={**state.yields, event.protocol: event.apy})


@pulse.on_event
def stake_noted(state: Pulse, event: StakeNoted) -> Pulse:
    """Keep the stake."""
    return replace(state, stakes={**state.stakes, event.validator: (event.amount, event.apy)})


@pulse.on_event
def protocol_heard_of(state: Pulse, event: ProtocolHeardOf) -> Pulse:
    """It waits to be discovered."""
    return replace(state, heard={**state.heard, event.protocol: event})


@pulse.on_event
def protocol_discovered(state: Pulse, event: ProtocolDiscovered) -> Pulse:
    """Its yield counts from now on; nothing is held there."""
    heard = {name: each for name, each in state.heard.items() if name != event.protocol}
    yields = {**state.yields, event.protocol: event.apy}
    return replace(state, heard=heard, yields=yields)


@pulse.on_event
def peg_noted(state: Pulse, event: PegNoted) -> Pulse:
    """Keep the price."""
    return replace(state, inside=event.inside, tick=event.tick, price=event.price)


@pulse.on_event
def protocol_rated(state: Pulse, event: ProtocolRated) -> Pulse:
    """Keep the rating; a refused target may be tried again."""
    return replace(
        state,
        scores={**state.scores, event.protocol: event.score},
        categories={**state.categories, event.protocol: event.category},
        barred=tuple(name for name in state.barred if name != event.protocol),
    )


@pulse.on_event
def move_proposed(state: Pulse, event: MoveProposed) -> Pulse:
    """It is under way: its amount is spoken for."""
    move = AllocationMove(event.source, event.target, event.amount)
    moves = {**state.moves, event.trade: move}
    return replace(state, numbered=state.numbered + 1, moves=moves)


@pulse.on_event
def move_dropped(state: Pulse, event: MoveDropped) -> Pulse:
    """It is not; leave its target alone for now."""
    barred = (*(name for name in state.barred if name != event.target), event.target)
    return replace(state, moves=_without(state.moves, event.trade), barred=barred)


@pulse.on_event
def rebalance_executed(state: Pulse, event: RebalanceExecuted) -> Pulse:
    """Money moved; its sum is what it was."""
    held = {**state.held, event.source: state.held[event.source] - event.amount}
    held[event.target] = held.get(event.target, 0) + event.amount
    return replace(state, held=held, moves=_without(state.moves, event.trade))


@pulse.on_event
def redeployment_requested(state: Pulse, event: RedeploymentRequested) -> Pulse:
    """One request at a time."""
    return replace(state, numbered=state.numbered + 1, redeploying=event.request)


@pulse.on_event
def redeployment_settled(state: Pulse, event: RedeploymentSettled) -> Pulse:
    """Answered."""
    return replace(state, redeploying="", redeployed=state.redeployed + event.granted)


@pulse.on_event
def kept_in_the_journal(
    state: Pulse,
    event: SustainabilityAlert
    | YieldOptimizationCompleted
    | StakingOptimizationCompleted
    | BacktestCompleted
    | AlertClosed,
) -> Pulse:
    """Nothing later depends on these."""
    return state


@pulse.on_query
def yield_optimization(state: Pulse, query: YieldOptimization) -> dict[str, Any]:
    """What is held where, under way, and the yield of it all in basis points."""
    total = sum(state.held.values())
    return {
        "held": state.held,
        "moves": state.moves,
        "categories": state.categories,
        "apy": blended(state.held, state.yields, total),
    }


@pulse.on_query
def staking_optimization(state: Pulse, query: StakingOptimization) -> dict[str, Any]:
    """Stakes by validator: amount and yield."""
    return {name: {"amount": a, "apy": apy} for name, (a, apy) in sorted(state.stakes.items())}


@pulse.on_query
def system_status(state: Pulse, query: SystemStatus) -> dict[str, Any]:
    """How Pulse is."""
    return status(state)


def status(state: Pulse) -> dict[str, Any]:
    """The sum held, moves under way, and what is unsustainable."""
    return {
        "held": sum(state.held.values()),
        "moving": len(state.moves),
        "inside_the_band": state.inside,
        "unsustainable": sorted(
            name for name, each in state.categories.items() if each == "unsustainable"
        ),
    }


def _without(table: dict[str, AllocationMove], key: str) -> dict[str, AllocationMove]:
    return {name: value for name, value in table.items() if name != key}
