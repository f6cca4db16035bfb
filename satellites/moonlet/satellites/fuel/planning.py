"""Fuel's advice: what gas will cost, what a batch saves, which transfers even out wallets."""

from typing import Final

from moonlet.agents import Decision, Rejected, Reply
from moonlet.satellites.common import (
    BPS,
    require_room,
    share_of,
    smoothed,
    transfers,
    wanted_by_share,
)
from moonlet.satellites.fuel.events import Fuel, fuel, wallets
from moonlet.satellites.fuel.messages import (
    BatchTransactions,
    GasNoted,
    GasPriceForecast,
    OptimizeGas,
    RebalancePortfolio,
    RebalanceProposed,
)
from moonlet.satellites.messages import GasPrices

__all__ = ["fuel"]

GAS_WEIGHT: Final = 2_000
"""Share of a new gas price in the forecast, in basis points."""

GAS_STEP: Final = 1_000

BASE_GAS: Final = 21_000
"""Units of gas that every transaction costs before it does anything."""


@fuel.on_command
def gas_prices(state: Fuel, command: GasPrices) -> Decision:
    """Smooth a chain's gas price; tell when the forecast moved by a tenth."""
    require_room(state.gas, command.chain, "chains")
    price = smoothed(state.gas.get(command.chain, command.price), command.price, GAS_WEIGHT)
    yield GasNoted(command.chain, price)
    told = state.forecasts.get(command.chain, 0)
    if abs(price - told) * BPS >= told * GAS_STEP:
        yield GasPriceForecast(command.chain, price, command.tick)


@fuel.on_command
def optimize_gas(state: Fuel, command: OptimizeGas) -> Decision:
    """Send now if gas costs no more than was forecast last, else wait."""
    if command.chain not in state.gas:
        raise Rejected(f"no gas price of {command.chain} is known")
    price = state.gas[command.chain]
    cost = price * command.units // 1_000_000
    forecast = state.forecasts[command.chain]
    yield Reply({"cost": cost, "is_cheap": price <= forecast, "forecast": forecast})


@fuel.on_command
def batch_transactions(state: Fuel, command: BatchTransactions) -> Decision:
    """What a batch saves: the base cost of all its transactions but one."""
    if command.chain not in state.gas:
        raise Rejected(f"no gas price of {command.chain} is known")
    saved = BASE_GAS * (command.count - 1)
    yield Reply({"gas": saved, "saved": state.gas[command.chain] * saved // 1_000_000})


@fuel.on_command
def rebalance_portfolio(state: Fuel, command: RebalancePortfolio) -> Decision:
    """Propose transfers from wallets over their target share to those under it."""
    if sum(command.targets.values()) != BPS:
        raise Rejected("the target shares must add up to 10,000")
    held = wallets(state)
    wanted = wanted_by_share(held, command.targets)
    drift = max(abs(held.get(name, 0) - wanted.get(name, 0)) for name in {*held, *wanted})
    moved = transfers(held, wanted) if drift > share_of(sum(held.values()), command.drift) else ()
    proposals = [RebalanceProposed(*each) for each in moved]
    yield from proposals
    yield Reply(proposals)
