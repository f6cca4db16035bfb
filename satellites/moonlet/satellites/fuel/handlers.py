"""Fuel: keeps the books in double entry, lends cash, watches gas and tax."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.common import (
    amount_for,
    dollars,
    peer,
    ratio,
    require,
    require_room,
    share_of,
)
from moonlet.satellites.fuel.events import Fuel
from moonlet.satellites.fuel.ledger import (
    GAINS,
    TRANSIT,
    TREASURY,
    cash,
    entry,
    gas_paid,
    is_wash,
    opening,
    post,
    sale_of_collateral,
    sale_of_lot,
    unrealized,
)
from moonlet.satellites.fuel.messages import (
    AssetMarked,
    CapitalDeployed,
    CapitalReturned,
    CollateralBooked,
    EntryPosted,
    HarvestDropped,
    HarvestTaxLosses,
    Lot,
    LotsOpened,
    OpenBooks,
    Posting,
    RotateWallet,
    TaxLossHarvested,
    TaxLossHarvestProposed,
    WalletAnomaly,
    WalletRotated,
    WashSaleBlocked,
)
from moonlet.satellites.fuel.planning import fuel
from moonlet.satellites.messages import (
    AllocateCapital,
    CapitalDenied,
    CapitalGranted,
    ExecuteOptimizedTransaction,
    Prices,
    SettleTransfer,
    Trade,
    TradeExecuted,
    TradeFailed,
)

__all__ = ["fuel"]

HARVEST: Final = 500
"""A lot is proposed for sale once it has lost this much of its cost, in basis points."""

SLIPPAGE: Final = 300


@fuel.on_command
def open_books(state: Fuel, command: OpenBooks) -> Decision:
    """Post the opening balances, once."""
    if state.entries:
        raise Rejected("the books are open already")
    yield from _post(state, ("opening", opening(command)))
    if command.lots:
        yield LotsOpened(command.lots)
    if command.collateral_amount:
        yield CollateralBooked(command.collateral_amount)


def _post(state: Fuel, *entries: tuple[str, tuple[Posting, ...]]) -> Decision:
    number = state.entries
    for memo, postings in entries:
        if postings:
            number += 1
            yield EntryPosted(number, memo, postings)


@fuel.on_command
def allocate_capital(state: Fuel, command: AllocateCapital, context: Context) -> Decision:
    """Set cash aside, or buy for the treasury, unless tax or the wallet forbids it."""
    if command.request in state.requests or command.request in state.lots:
        raise Rejected(f"{command.request} is open already")
    wallet = _live(state, command.wallet)
    held = state.balances.get(cash(wallet), 0)
    sold = state.sold.get(command.asset)
    if command.use == "buy" and sold is not None and is_wash(command.at, [sold]):
        yield WashSaleBlocked(command.request, command.asset, command.amount, sold, command.at)
        reason = f"{command.asset} was sold at a loss within thirty days: a wash sale"
        yield from _answer(context, CapitalDenied(command.request, reason))
    elif held < command.amount:
        yield WalletAnomaly(wallet, command.amount, max(held, 0))
        reason = f"{wallet} holds {dollars(held)}, not {dollars(command.amount)}"
        yield from _answer(context, CapitalDenied(command.request, reason))
    else:
        yield from _allocate(state, command, wallet)
        yield from _answer(context, CapitalGranted(command.request, command.amount))


def _allocate(state: Fuel, command: AllocateCapital, wallet: str) -> Decision:
    to = TREASURY if command.use == "buy" else TRANSIT
    postings = entry((to, command.amount), (cash(wallet), -command.amount))
    if command.use == "buy":
        price = state.prices.get(command.asset)
        if price is None:
            raise Rejected(f"no price of {command.asset} is known")
        amount = amount_for(command.amount, price)
        require_room(state.lots, command.request, "lots")
        yield LotsOpened((Lot(command.request, command.asset, amount, command.amount, command.at),))
    yield from _post(state, (f"{command.use} {command.request}", postings))
    yield CapitalDeployed(command.request, wallet, command.amount, command.use)


def _answer(context: Context, answer: CapitalGranted | CapitalDenied) -> Decision:
    yield Reply(answer)
    if "/" in context.sender:
        yield Send(context.sender, answer)


def _live(state: Fuel, wallet: str) -> str:
    """The wallet, or whichever took its place."""
    while wallet in state.retired:
        wallet = state.retired[wallet]
    return wallet


@fuel.on_command
def settle_transfer(state: Fuel, command: SettleTransfer, context: Context) -> Decision:
    """Book what came back of an allocation, and close it."""
    require(context, "bridge", "a settlement")
    if command.request not in state.requests:
        raise Rejected(f"{command.request} is not open")
    _, amount = state.requests[command.request]
    wallet = _live(state, command.wallet)
    gain = command.returned - amount
    postings = entry((cash(wallet), command.returned), (TRANSIT, -amount), (GAINS, -gain))
    yield from _post(state, (f"settle {command.request}", postings))
    yield CapitalReturned(command.request, wallet, command.returned, gain)


@fuel.on_command
def trade_executed(state: Fuel, command: TradeExecuted, context: Context) -> Decision:
    """Book a trade and its gas."""
    require(context, "forge", "an execution")
    trade, wallet = command.trade, _live(state, command.chain)
    command = replace(command, chain=wallet)
    booked: tuple[Posting, ...] = ()
    if trade.purpose == "reduce":
        booked = sale_of_collateral(command, state.balances, state.collateral)
        yield CollateralBooked(-min(trade.amount, state.collateral))
    lot = state.lots.get(trade.lot)
    if trade.purpose == "harvest" and lot is not None:
        booked = sale_of_lot(command, lot)
        loss = lot.cost - command.proceeds
        yield TaxLossHarvested(lot.id, lot.asset, command.proceeds, loss, command.at)
    gas = gas_paid(wallet, command.gas, post(state.balances, booked))
    yield from _post(state, (f"{trade.purpose} {trade.id}", booked), (f"gas {trade.id}", gas))


@fuel.on_command
def trade_failed(state: Fuel, command: TradeFailed, context: Context) -> Decision:
    """A harvest came to nothing."""
    require(context, "forge", "a failure")
    if state.harvests.get(command.trade.lot) != command.trade.id:
        raise Rejected(f"no sale {command.trade.id} is under way")
    yield HarvestDropped(command.trade.lot, command.reason)


@fuel.on_command
def prices(state: Fuel, command: Prices, context: Context) -> Decision:
    """Mark lots; propose to sell those that have lost enough."""
    require(context, "oracle", "a price")
    yield AssetMarked(command.asset, command.price, command.at, command.tick)
    lots = [lot for lot in state.lots.values() if lot.id not in state.harvests]
    losers = _losers(state, lots, command.asset, command.price, HARVEST, command.at)
    yield from _propose(losers, command.price, command.tick, context)


@fuel.on_command
def harvest_tax_losses(state: Fuel, command: HarvestTaxLosses, context: Context) -> Decision:
    """Propose again, with a threshold of one's own; replies with the lots."""
    price = state.prices.get(command.asset)
    if price is None:
        raise Rejected(f"no price of {command.asset} is known")
    lots = [lot for lot in state.lots.values() if not state.harvests.get(lot.id)]
    losers = _losers(state, lots, command.asset, price, command.threshold, state.at)
    yield from _propose(losers, price, state.tick, context)
    yield Reply([lot.id for lot in losers])


def _losers(
    state: Fuel, lots: Iterable[Lot], asset: str, price: int, threshold: int, at: int
) -> list[Lot]:
    """Lots that lost enough, of an asset not bought within thirty days (that would be a wash)."""
    bought = [lot.bought for lot in state.lots.values() if lot.asset == asset]
    if is_wash(at, bought):
        return []
    lost = [
        lot
        for lot in lots
        if lot.asset == asset and ratio(max(0, -unrealized(lot, price)), lot.cost) >= threshold
    ]
    return sorted(lost, key=lambda lot: lot.id)


def _propose(lots: Iterable[Lot], price: int, tick: int, context: Context) -> Decision:
    limit = max(1, price - share_of(price, SLIPPAGE))
    for lot in lots:
        trade = Trade(
            f"harvest-{lot.id}-{tick}", "harvest", lot.asset, "sell", lot.amount, price, limit,
            tick, lot=lot.id,
        )  # fmt: skip
        yield TaxLossHarvestProposed(lot.id, trade.id, -unrealized(lot, price))
        yield Send(peer(context, "forge"), ExecuteOptimizedTransaction(trade))


@fuel.on_command
def rotate_wallet(state: Fuel, command: RotateWallet) -> Decision:
    """Empty a wallet into a fresh one; what is still to come back goes there too."""
    balance = state.balances.get(cash(command.wallet))
    if balance is None or command.wallet in state.retired:
        raise Rejected(f"there is no wallet {command.wallet}")
    if cash(command.successor) in state.balances:
        raise Rejected(f"{command.successor} is not fresh: choose another name")
    postings = entry((cash(command.successor), balance), (cash(command.wallet), -balance))
    yield from _post(state, (f"rotate {command.wallet}", postings))
    yield WalletRotated(command.wallet, command.successor)
    yield Reply(balance)
