"""Where an agent is in its life, and which way it may go from there."""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Phase(Enum):
    """The phases of a live agent.

    COLD: no state in memory; the next command, or question, has it read.
    RECOVERING: its journal is being read, and effects that may not be out are sent again.
    DOUBTING: the server was away; the last commit is compared before the next append.
    RUNNING: warm, nothing in flight: the next command is decided at once.
    APPENDING: an append is in flight; what comes meanwhile is decided ahead of it.
    BLOCKED: the journal is full; what waits is decided again after a pause.
    STOPPED: an operator stopped it: commands wait unacknowledged, questions are refused.
    BROKEN: its journal can't be read: as STOPPED, until it is started again.
    CLOSED: it left this host; nothing more is decided or dispatched here.
    """

    COLD = "cold"
    RECOVERING = "recovering"
    DOUBTING = "doubting"
    RUNNING = "running"
    APPENDING = "appending"
    BLOCKED = "blocked"
    STOPPED = "stopped"
    BROKEN = "broken"
    CLOSED = "closed"

    @property
    def told(self) -> str:
        """As people are told: cold, recovering, running, stopped, broken or closed."""
        return _TOLD.get(self.value, self.value)


_TOLD: Final = {"doubting": "recovering", "appending": "running", "blocked": "running"}

_P = Phase

TRANSITIONS: Final[Mapping[Phase, frozenset[Phase]]] = {
    _P.COLD: frozenset({_P.RECOVERING, _P.STOPPED, _P.CLOSED}),
    _P.RECOVERING: frozenset({_P.RUNNING, _P.COLD, _P.STOPPED, _P.BROKEN, _P.CLOSED}),
    _P.DOUBTING: frozenset({_P.RUNNING, _P.COLD, _P.STOPPED, _P.CLOSED}),
    _P.RUNNING: frozenset({_P.APPENDING, _P.DOUBTING, _P.COLD, _P.STOPPED, _P.BROKEN, _P.CLOSED}),
    _P.APPENDING: frozenset({_P.RUNNING, _P.BLOCKED, _P.COLD, _P.STOPPED, _P.BROKEN, _P.CLOSED}),
    _P.BLOCKED: frozenset({_P.RUNNING, _P.DOUBTING, _P.COLD, _P.STOPPED, _P.CLOSED}),
    _P.STOPPED: frozenset({_P.COLD, _P.RUNNING, _P.CLOSED}),
    _P.BROKEN: frozenset({_P.COLD, _P.CLOSED}),
    _P.CLOSED: frozenset(),
}
"""From each phase, where to. `LiveAgent` asserts each step; a test draws all that worlds take."""
