"""What the market does: the prices that Oracle vouches for, bars of them, and gas."""

from msgspec import Struct

from moonlet.satellites.common import Money, Name, Price, Share, Tick, Time


class Prices(Struct, frozen=True):
    """The price that Oracle vouches for; `confidence` is the share of sources that agree."""

    asset: Name
    price: Price
    tick: Tick
    at: Time
    confidence: Share = 10_000


class AssetPrices(Struct, frozen=True):
    """Oracle: an asset's price; the prices per chain follow from the routes."""

    asset: Name
    price: Price
    tick: Tick
    at: Time


class MarketData(Struct, frozen=True):
    """A bar of an asset's prices."""

    asset: Name
    tick: Tick
    at: Time
    open: Price
    high: Price
    low: Price
    close: Price


class GasPrices(Struct, frozen=True):
    """What a million units of gas cost on a chain, in micro-dollars."""

    chain: Name
    price: Money
    tick: Tick
