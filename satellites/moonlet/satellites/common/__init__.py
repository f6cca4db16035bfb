"""What all satellites share: units, peers of a desk, limits, transfers.

It knows none of them.
"""

from moonlet.satellites.common.balancing import transfers, wanted_by_share
from moonlet.satellites.common.bounds import require_room
from moonlet.satellites.common.peers import peer, require
from moonlet.satellites.common.units import (
    BPS,
    MICRO,
    PEG,
    Amount,
    Basis,
    Money,
    Mood,
    Name,
    Price,
    Share,
    Signed,
    Text,
    Tick,
    Time,
    amount_for,
    dollars,
    percent,
    ratio,
    share_of,
    smoothed,
    value_of,
)

__all__ = [
    "BPS",
    "MICRO",
    "PEG",
    "Amount",
    "Basis",
    "Money",
    "Mood",
    "Name",
    "Price",
    "Share",
    "Signed",
    "Text",
    "Tick",
    "Time",
    "amount_for",
    "dollars",
    "peer",
    "percent",
    "ratio",
    "require",
    "require_room",
    "share_of",
    "smoothed",
    "transfers",
    "value_of",
    "wanted_by_share",
]
