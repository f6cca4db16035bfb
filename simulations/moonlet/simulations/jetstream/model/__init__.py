"""JetStream as a pure value: its API, what it reads, and core NATS around it.

Imports streams and consumers; no loop, clock or network.
"""

from moonlet.simulations.jetstream.model.broker import MAX_PAYLOAD, Broker
from moonlet.simulations.jetstream.model.model import Model

__all__ = [
    "MAX_PAYLOAD",
    "Broker",
    "Model",
]
