"""Where the satellites' journals are: three, each of which may be cut off from the others."""

from typing import Final

from moonlet.agents import Topology

TOPOLOGY: Final = Topology(
    journals={
        "growth": ["forge", "pulse"],
        "money": ["bridge", "fuel"],
        "risk": ["aegis", "echo", "oracle", "sage"],
    }
)
"""Those who trade, those who keep the books, those who watch."""
