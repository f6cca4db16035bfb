"""Aegis: watches positions, raises alerts, and alone decides which trades may be executed."""

from moonlet.satellites.aegis.handlers import aegis
from moonlet.satellites.aegis.messages import (
    AddPosition,
    AlertAcknowledged,
    PositionAdded,
    PositionRemoved,
    PositionUpdated,
    RiskAlert,
    RunMonteCarloSimulation,
    RunStressTest,
    SetCapital,
)
from moonlet.satellites.aegis.positions import LEVELS

__all__ = [
    "LEVELS",
    "AddPosition",
    "AlertAcknowledged",
    "PositionAdded",
    "PositionRemoved",
    "PositionUpdated",
    "RiskAlert",
    "RunMonteCarloSimulation",
    "RunStressTest",
    "SetCapital",
    "aegis",
]
