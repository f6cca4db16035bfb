"""The client: what `connect()` gives. It sends commands, asks, queries, and reads histories."""

from moonlet.agents.client.client import Client
from moonlet.agents.client.receipt import Receipt
from moonlet.agents.client.sending import Plain

__all__ = ["Client", "Plain", "Receipt"]
