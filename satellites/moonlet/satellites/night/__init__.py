"""The night of the depeg: what it begins with, who drives it, and what came of it.

`drive` tells Oracle each price of a feed; `report` is computed from the journals' commits.
"""

from moonlet.satellites.night.audit import DeliveryFault
from moonlet.satellites.night.driver import Drive, drive
from moonlet.satellites.night.feed import depeg, read_feed
from moonlet.satellites.night.reporting import Report, TradeLine, report
from moonlet.satellites.night.script import AGENTS, DESK

__all__ = [
    "AGENTS",
    "DESK",
    "DeliveryFault",
    "Drive",
    "Report",
    "TradeLine",
    "depeg",
    "drive",
    "read_feed",
    "report",
]
