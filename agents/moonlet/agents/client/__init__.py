"""The client: what `connect()` gives. It sends commands, asks, queries, and reads histories."""

from moonlet.agents.client.client import Client
from moonlet.agents.client.outgoing import Plain
from moonlet.agents.client.receipt import Receipt

__all__ = ["Client", "Plain", "Receipt"]
