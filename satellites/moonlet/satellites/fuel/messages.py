"""Fuel's messages: the ledger, wallets, gas, tax."""

from typing import Annotated

from msgspec import Meta, Struct

from moonlet.satellites.common import Amount, Money, Name, Price, Share, Signed, Text, Tick, Time
from moonlet.satellites.messages import CapitalUse

Account = Annotated[str, Meta(pattern=r"^[a-z]+(:[A-Za-z0-9_-]{1,64})?$")]


class Posting(Struct, frozen=True):
    """One line of an entry: a debit is positive, a credit negative."""

    account: Account
    amount: Signed


class Lot(Struct, frozen=True):
    """Tokens bought at one time for one price: what tax is counted on."""

    id: Name
    asset: Name
    amount: Amount
    cost: Money
    bought: Time


# commands


class OpenBooks(Struct, frozen=True):
    """The opening balances; once. Collateral and loans are those of Aegis's positions."""

    wallets: dict[Name, Money]
    lots: tuple[Lot, ...] = ()
    collateral: Money = 0
    collateral_amount: Amount = 0
    loans: Money = 0


class OptimizeGas(Struct, frozen=True):
    """Say whether to send a transaction of `units` gas now or to wait."""

    chain: Name
    units: Annotated[int, Meta(ge=21_000, le=30_000_000)] = 200_000


class BatchTransactions(Struct, frozen=True):
    """How much gas a batch of transactions saves over sending them one by one."""

    chain: Name
    count: Annotated[int, Meta(ge=1, le=100)]


class RebalancePortfolio(Struct, frozen=True):
    """Propose transfers between wallets where one has drifted from its target share."""

    targets: dict[Name, Share]
    drift: Share = 500


class HarvestTaxLosses(Struct, frozen=True):
    """Propose to sell every lot that has lost at least `threshold` of its cost."""

    asset: Name
    threshold: Share = 500


class RotateWallet(Struct, frozen=True):
    """Move all cash of a wallet to a fresh one."""

    wallet: Name
    successor: Name


# queries


class GasForecast(Struct, frozen=True):
    """A chain's smoothed gas price."""

    chain: Name = "ethereum"


class WalletHealth(Struct, frozen=True):
    """Cash per wallet, what is set aside, and whether the ledger balances."""


class TaxReport(Struct, frozen=True):
    """Gains realized, lots still held, sales within the wash-sale window."""


# events


class EntryPosted(Struct, frozen=True):
    """A journal entry; its postings sum to zero."""

    entry: int
    memo: Text
    postings: tuple[Posting, ...]


class LotsOpened(Struct, frozen=True):
    """Lots are held from now on."""

    lots: tuple[Lot, ...]


class CollateralBooked(Struct, frozen=True):
    """The collateral in the books changed by this amount."""

    change: Signed


class CapitalDeployed(Struct, frozen=True):
    """Cash was set aside for a request."""

    request: Name
    wallet: Name
    amount: Money
    use: CapitalUse


class CapitalReturned(Struct, frozen=True):
    """A request is settled."""

    request: Name
    wallet: Name
    returned: Money
    gain: Signed


class GasPriceForecast(Struct, frozen=True):
    """A chain's smoothed gas price moved by a tenth or more."""

    chain: Name
    price: Money
    tick: Tick


class GasNoted(Struct, frozen=True):
    """A chain's smoothed gas price."""

    chain: Name
    price: Money


class RebalanceProposed(Struct, frozen=True):
    """Cash should go from one wallet to another."""

    source: Name
    target: Name
    amount: Money


class AssetMarked(Struct, frozen=True):
    """The price that lots are measured at."""

    asset: Name
    price: Price
    at: Time
    tick: Tick


class TaxLossHarvestProposed(Struct, frozen=True):
    """A lot has lost enough to be sold; Forge was asked to."""

    lot: Name
    trade: Name
    loss: Money


class HarvestDropped(Struct, frozen=True):
    """A proposed sale came to nothing; the lot is proposed again when it has lost more."""

    lot: Name
    reason: Text


class TaxLossHarvested(Struct, frozen=True):
    """A lot was sold at a loss, which blocks buying the asset back for thirty days."""

    lot: Name
    asset: Name
    proceeds: Money
    loss: Signed
    at: Time


class WashSaleBlocked(Struct, frozen=True):
    """A purchase within thirty days of a loss sale was refused."""

    request: Name
    asset: Name
    amount: Money
    sold: Time
    at: Time


class WalletRotated(Struct, frozen=True):
    """A wallet was emptied into its successor and takes no more."""

    wallet: Name
    successor: Name


class WalletAnomaly(Struct, frozen=True):
    """More was asked of a wallet than it holds."""

    wallet: Name
    wanted: Money
    held: Money
