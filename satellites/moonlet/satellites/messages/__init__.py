"""What satellites say to each other, by subject; what only one of them takes is in its own room.

So no satellite imports another: each knows this room alone. Names are PascalCase forms of
YieldSensei's own.
"""

from moonlet.satellites.messages.capital import (
    AllocateCapital,
    CapitalDenied,
    CapitalGranted,
    CapitalUse,
    SettleTransfer,
)
from moonlet.satellites.messages.market import AssetPrices, GasPrices, MarketData, Prices
from moonlet.satellites.messages.operators import AlertClosed, CloseAlert
from moonlet.satellites.messages.opinions import (
    Narrative,
    ProtocolRating,
    Risk,
    RwaData,
    SentimentData,
)
from moonlet.satellites.messages.trades import (
    DenyApproval,
    ExecuteOptimizedTransaction,
    GrantApproval,
    RequestApproval,
    Trade,
    TradeExecuted,
    TradeFailed,
)

__all__ = [
    "AlertClosed",
    "AllocateCapital",
    "AssetPrices",
    "CapitalDenied",
    "CapitalGranted",
    "CapitalUse",
    "CloseAlert",
    "DenyApproval",
    "ExecuteOptimizedTransaction",
    "GasPrices",
    "GrantApproval",
    "MarketData",
    "Narrative",
    "Prices",
    "ProtocolRating",
    "RequestApproval",
    "Risk",
    "RwaData",
    "SentimentData",
    "SettleTransfer",
    "Trade",
    "TradeExecuted",
    "TradeFailed",
]
