"""Pulse: keeps money where it earns, leaves what Sage rates down, within bounds."""

from moonlet.satellites.pulse.handlers import pulse
from moonlet.satellites.pulse.messages import (
    Category,
    ProtocolRated,
    SustainabilityAlert,
    YieldOpportunity,
)

__all__ = ["Category", "ProtocolRated", "SustainabilityAlert", "YieldOpportunity", "pulse"]
