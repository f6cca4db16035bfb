"""Fuel: keeps the books in double entry, lends cash, watches gas and tax."""

from moonlet.satellites.fuel.handlers import fuel
from moonlet.satellites.fuel.messages import EntryPosted, Lot, OpenBooks, WalletAnomaly

__all__ = ["EntryPosted", "Lot", "OpenBooks", "WalletAnomaly", "fuel"]
