"""Fuel's agent type, how its state follows from events, and what can be asked of it."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from moonlet.agents import AgentType
from moonlet.satellites.fuel.ledger import GAINS, TRANSIT, post, unrealized
from moonlet.satellites.fuel.messages import (
    AssetMarked,
    CapitalDeployed,
    CapitalReturned,
    CollateralBooked,
    EntryPosted,
    GasForecast,
    GasNoted,
    GasPriceForecast,
    HarvestDropped,
    Lot,
    LotsOpened,
    RebalanceProposed,
    TaxLossHarvested,
    TaxLossHarvestProposed,
    TaxReport,
    WalletAnomaly,
    WalletHealth,
    WalletRotated,
    WashSaleBlocked,
)


class Fuel(Struct, frozen=True):
    """Balances by account, the sums of all debits and credits, lots, and what is set aside.

    `requests`: open allocations (wallet, amount). `harvests`: lot → the sale asked for, '' once
    it came to nothing. `sold`: asset → the last loss sale. `retired`: wallet → its successor.
    """

    balances: dict[str, int] = {}
    debits: int = 0
    credits: int = 0
    entries: int = 0
    collateral: int = 0
    lots: dict[str, Lot] = {}
    requests: dict[str, tuple[str, int]] = {}
    harvests: dict[str, str] = {}
    harvested: int = 0
    sold: dict[str, int] = {}
    prices: dict[str, int] = {}
    at: int = 0
    tick: int = 0
    gas: dict[str, int] = {}
    forecasts: dict[str, int] = {}
    retired: dict[str, str] = {}
    requested: int = 0


fuel = AgentType("fuel", Fuel, partitions=1)


@fuel.on_event
def entry_posted(state: Fuel, event: EntryPosted) -> Fuel:
    """Add the postings to their accounts."""
    amounts = [posting.amount for posting in event.postings]
    return replace(
        state,
        balances=post(state.balances, event.postings),
        debits=state.debits + sum(amount for amount in amounts if amount > 0),
        credits=state.credits - sum(amount for amount in amounts if amount < 0),
        entries=event.entry,
    )


@fuel.on_event
def lots_opened(state: Fuel, event: LotsOpened) -> Fuel:
    """Hold the lots."""
    return replace(state, lots={**state.lots, **{lot.id: lot for lot in event.lots}})


@fuel.on_event
def collateral_booked(state: Fuel, event: CollateralBooked) -> Fuel:
    """Count the collateral."""
    return replace(state, collateral=state.collateral + event.change)


@fuel.on_event
def capital_deployed(state: Fuel, event: CapitalDeployed) -> Fuel:
    """Set aside until it is settled; what was bought is a lot instead."""
    requested = state.requested + 1
    if event.use == "buy":
        return replace(state, requested=requested)
    requests = {**state.requests, event.request: (event.wallet, event.amount)}
    return replace(state, requested=requested, requests=requests)


@fuel.on_event
def capital_returned(state: Fuel, event: CapitalReturned) -> Fuel:
    """Settled."""
    requests = {name: each for name, each in state.requests.items() if name != event.request}
    return replace(state, requests=requests)


@fuel.on_event
def asset_marked(state: Fuel, event: AssetMarked) -> Fuel:
    """Measure lots at this price."""
    prices = {**state.prices, event.asset: event.price}
    return replace(state, prices=prices, at=event.at, tick=event.tick)


@fuel.on_event
def tax_loss_harvest_proposed(state: Fuel, event: TaxLossHarvestProposed) -> Fuel:
    """One sale at a time for a lot."""
    return replace(state, harvests={**state.harvests, event.lot: event.trade})


@fuel.on_event
def harvest_dropped(state: Fuel, event: HarvestDropped) -> Fuel:
    """Not proposed again by itself."""
    return replace(state, harvests={**state.harvests, event.lot: ""})


@fuel.on_event
def tax_loss_harvested(state: Fuel, event: TaxLossHarvested) -> Fuel:
    """The lot is gone; a loss blocks buying back."""
    return replace(
        state,
        lots={id: lot for id, lot in state.lots.items() if id != event.lot},
        harvests={id: trade for id, trade in state.harvests.items() if id != event.lot},
        harvested=state.harvested + event.loss,
        sold={**state.sold, event.asset: event.at} if event.loss > 0 else state.sold,
    )


@fuel.on_event
def gas_noted(state: Fuel, event: GasNoted) -> Fuel:
    """Keep the smoothed price."""
    return replace(state, gas={**state.gas, event.chain: event.price})


@fuel.on_event
def gas_price_forecast(state: Fuel, event: GasPriceForecast) -> Fuel:
    """Remember what was told."""
    return replace(state, forecasts={**state.forecasts, event.chain: event.price})


@fuel.on_event
def wallet_rotated(state: Fuel, event: WalletRotated) -> Fuel:
    """It takes no more; what comes back to it goes to its successor."""
    return replace(state, retired={**state.retired, event.wallet: event.successor})


@fuel.on_event
def kept_in_the_journal(
    state: Fuel, event: WashSaleBlocked | WalletAnomaly | RebalanceProposed
) -> Fuel:
    """Nothing later depends on these."""
    return state


@fuel.on_query
def gas_forecast(state: Fuel, query: GasForecast) -> int | None:
    """A chain's smoothed gas price (micro-dollars for a million units); None if unknown."""
    return state.gas.get(query.chain)


@fuel.on_query
def wallet_health(state: Fuel, query: WalletHealth) -> dict[str, Any]:
    """Cash per wallet, what is set aside, and both sides of the ledger."""
    return {
        "wallets": wallets(state),
        "set_aside": state.balances.get(TRANSIT, 0),
        "requests": sorted(state.requests),
        "debits": state.debits,
        "credits": state.credits,
        "is_balanced": state.debits == state.credits,
    }


@fuel.on_query
def tax_report(state: Fuel, query: TaxReport) -> dict[str, Any]:
    """Gains realized (a loss is negative), harvested losses, lots and what they would gain."""
    return {
        "realized": -state.balances.get(GAINS, 0),
        "harvested": state.harvested,
        "lots": {
            id: unrealized(lot, state.prices[lot.asset]) if lot.asset in state.prices else None
            for id, lot in sorted(state.lots.items())
        },
        "blocked": state.sold,
    }


def wallets(state: Fuel) -> dict[str, int]:
    """Cash by wallet, those retired left out."""
    prefix = "cash:"
    return {
        account.removeprefix(prefix): amount
        for account, amount in sorted(state.balances.items())
        if account.startswith(prefix) and account.removeprefix(prefix) not in state.retired
    }
