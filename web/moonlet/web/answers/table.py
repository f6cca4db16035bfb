"""Which answer is at which address."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from moonlet.web.answers.agents import agents
from moonlet.web.answers.causes import causes
from moonlet.web.answers.histories import (
    column,
    commit,
    history,
    point,
    state,
    stop,
    value,
    why_value,
)
from moonlet.web.answers.hosts import alerts, commands, metrics
from moonlet.web.answers.logs import logs
from moonlet.web.answers.searching import search
from moonlet.web.answers.standing import overview, parked, view, views, waiting
from moonlet.web.answers.whatif import whatif
from moonlet.web.reading import Parameters, SystemReader

Answer = Callable[[SystemReader, Parameters], Awaitable[dict[str, Any]]]

ANSWERS: Final[dict[str, Answer]] = {
    "agents": agents,
    "alerts": alerts,
    "causes": causes,
    "column": column,
    "commands": commands,
    "commit": commit,
    "history": history,
    "logs": logs,
    "metrics": metrics,
    "overview": overview,
    "parked": parked,
    "point": point,
    "search": search,
    "state": state,
    "stop": stop,
    "value": value,
    "view": view,
    "views": views,
    "waiting": waiting,
    "whatif": whatif,
    "why": why_value,
}
"""Name → answer: `/api/NAME` with its parameters in the query."""
