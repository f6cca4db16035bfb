"""Where an agent is in its life."""

from enum import Enum


class Status(Enum):
    """COLD agents have no state in memory; RECOVERING ones read it; BROKEN ones can't."""

    COLD = "cold"
    RECOVERING = "recovering"
    RUNNING = "running"
    BROKEN = "broken"
    CLOSED = "closed"
