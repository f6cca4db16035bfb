"""What Bridge keeps in mind, and when an opportunity may be carried out."""

from typing import Final

from msgspec import Struct

from moonlet.satellites.bridge.messages import BridgeIncident, SetRoute
from moonlet.satellites.bridge.venue import Action
from moonlet.satellites.common import BPS

MAX_OPPORTUNITIES: Final = 100
"""Opportunities remembered, the newest."""

MAX_INCIDENTS: Final = 100
"""Incidents remembered, the newest."""

OPEN_TICKS: Final = 1
"""An opportunity can be carried out until this many ticks after it was detected."""

LEAST_AUDIT: Final = 5_000
"""A bridge whose audit scores less is not used; one without an audit scores this."""


class Opportunity(Struct, frozen=True):
    """What was seen of it and what it would make; `is_taken` once an execution began."""

    bridge: str
    spread: int
    tick: int
    net_profit: int = 0
    risk_score: int = 0
    is_executable: bool = False
    is_taken: bool = False


class Execution(Struct, frozen=True):
    """A transfer under way: which leg, at which attempt, and how much is in it now."""

    id: str
    opportunity: str
    bridge: str
    amount: int
    spread: int
    held: int = 0
    action: Action | None = None
    attempt: int = 0


class Bridge(Struct, frozen=True):
    """Routes by bridge, opportunities by id, the one execution under way, and what all made."""

    routes: dict[str, SetRoute] = {}
    audits: dict[str, int] = {}
    incidents: tuple[BridgeIncident, ...] = ()
    opportunities: dict[str, Opportunity] = {}
    detected: int = 0
    execution: Execution | None = None
    initiated: int = 0
    completed: int = 0
    failed: int = 0
    volume: int = 0
    profit: int = 0
    price: int = 0
    tick: int = 0
    at: int = 0


def why_not(state: Bridge, opportunity: str) -> str:
    """Why an opportunity can't be carried out; '' if it can."""
    found = state.opportunities.get(opportunity)
    if found is None:
        return f"there is no opportunity {opportunity}"
    if found.is_taken:
        return f"{opportunity} was taken"
    if not found.is_executable:
        return f"{opportunity} makes nothing, or is too risky"
    if state.tick > found.tick + OPEN_TICKS:
        return f"{opportunity} was open until tick {found.tick + OPEN_TICKS}"
    if is_closed(state, found.bridge):
        return f"{found.bridge} is closed"
    return ""


def risk_of(state: Bridge, bridge: str) -> int:
    """0 to 10,000: what the audit leaves open, and 500 for each incident."""
    incidents = sum(each.bridge == bridge for each in state.incidents)
    return min(BPS - state.audits.get(bridge, LEAST_AUDIT) + 500 * incidents, BPS)


def is_closed(state: Bridge, bridge: str) -> bool:
    """Whether an audit or a critical incident forbids it."""
    critical = any(e.bridge == bridge and e.severity == "critical" for e in state.incidents)
    return critical or state.audits.get(bridge, LEAST_AUDIT) < LEAST_AUDIT
