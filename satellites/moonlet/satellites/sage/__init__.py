"""Sage: rates protocols by price, mood and audit, and tells Pulse and Aegis what has changed."""

from moonlet.satellites.sage.handlers import sage
from moonlet.satellites.sage.messages import ProtocolAnalysisCompleted, ProtocolData

__all__ = ["ProtocolAnalysisCompleted", "ProtocolData", "sage"]
