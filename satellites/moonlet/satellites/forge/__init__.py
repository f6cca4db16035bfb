"""Forge: plans and executes transactions, and only those that Aegis approved, each once."""

from moonlet.satellites.forge.handlers import forge
from moonlet.satellites.forge.messages import MempoolTx, TxExecuted

__all__ = ["MempoolTx", "TxExecuted", "forge"]
