"""Oracle: decides what a price is. It alone is told by the driver; all else follows from it."""

from moonlet.satellites.oracle.handlers import oracle
from moonlet.satellites.oracle.messages import (
    FeedStatus,
    Reading,
    SetFeedPolicy,
    ThresholdBreach,
    ThresholdRestored,
    ValidateOracleFeed,
)

__all__ = [
    "FeedStatus",
    "Reading",
    "SetFeedPolicy",
    "ThresholdBreach",
    "ThresholdRestored",
    "ValidateOracleFeed",
    "oracle",
]
