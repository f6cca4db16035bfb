"""The desk's views: what is at stake, which alerts are open, who rates a protocol how.

Each is written from several journals, so that an ordered fold would not do: `View.explain` says
for every field why.
"""

from typing import Final

from moonlet.projections import At, AWSet, Fields, LexCounter, LWWRegister, MVRegister, ORMap, View
from moonlet.satellites.aegis import (
    AlertAcknowledged,
    PositionAdded,
    PositionRemoved,
    PositionUpdated,
    RiskAlert,
)
from moonlet.satellites.forge import TxExecuted
from moonlet.satellites.fuel import EntryPosted, WalletAnomaly
from moonlet.satellites.messages import AlertClosed, Risk
from moonlet.satellites.oracle import ThresholdBreach, ThresholdRestored
from moonlet.satellites.pulse import Category, ProtocolRated, SustainabilityAlert
from moonlet.satellites.sage import ProtocolAnalysisCompleted

HOLDINGS: Final = frozenset(("cash", "transit"))
"""The accounts of Fuel that are money at stake; collateral is counted where Aegis watches it."""

AS_RISK: Final[dict[Category, Risk]] = {
    "sustainable": "low",
    "watch": "medium",
    "unsustainable": "high",
}
"""Pulse's categories in Sage's words."""

exposure = View(
    "exposure",
    version=1,
    by_place=ORMap[LexCounter],
    sold=ORMap[LexCounter],
    total=LexCounter,
)
"""Micro-dollars: booked in each protocol (Aegis), in wallets and in transit (Fuel), and their sum.

`sold` is what Forge's sales brought, by purpose.
"""


@exposure.on_event
def position_added(view: Fields, event: PositionAdded, at: At) -> None:
    """Booked at its worth."""
    view.by_place[event.protocol].add(event.book)
    view.total.add(event.book)


@exposure.on_event
def position_updated(view: Fields, event: PositionUpdated, at: At) -> None:
    """Booked anew."""
    view.by_place[event.protocol].add(event.change)
    view.total.add(event.change)


@exposure.on_event
def position_removed(view: Fields, event: PositionRemoved, at: At) -> None:
    """No longer at stake."""
    view.by_place[event.protocol].add(-event.book)
    view.total.add(-event.book)


@exposure.on_event
def entry_posted(view: Fields, event: EntryPosted, at: At) -> None:
    """Cash comes and goes."""
    for posting in event.postings:
        if posting.account.partition(":")[0] in HOLDINGS:
            view.by_place[posting.account].add(posting.amount)
            view.total.add(posting.amount)


@exposure.on_event
def tx_executed(view: Fields, event: TxExecuted, at: At) -> None:
    """A sale brought money; a move brings none."""
    if event.proceeds:
        view.sold[event.trade.purpose].add(event.proceeds)


alerts = View(
    "alerts",
    version=1,
    about=ORMap[LWWRegister],
    acknowledged=ORMap[MVRegister],
    open=AWSet,
)
"""Open alerts by name ('aegis/main 17'), what they are about, and who acknowledged them.

Operators that acknowledge one unaware of each other both show; what is raised anew unseen by them
stays open.
"""


@alerts.on_event
def risk_alert(view: Fields, event: RiskAlert, at: At) -> None:
    """Aegis numbers its alerts."""
    name = f"{at.agent} {event.alert}"
    view.open.add(name)
    view.about[name].set(f"{event.level}: {event.kind} of {event.subject}")


@alerts.on_event
def sustainability_alert(view: Fields, event: SustainabilityAlert, at: At) -> None:
    """A protocol that gets worse is alerted again."""
    name = f"{at.agent} {event.protocol}"
    view.open.add(name)
    view.about[name].set(f"{event.after}: {event.advice} {event.protocol}")


@alerts.on_event
def wallet_anomaly(view: Fields, event: WalletAnomaly, at: At) -> None:
    """More was asked of a wallet than it holds."""
    name = f"{at.agent} {event.wallet}"
    view.open.add(name)
    view.about[name].set(f"warning: wallet {event.wallet} holds too little")


@alerts.on_event
def threshold_breach(view: Fields, event: ThresholdBreach, at: At) -> None:
    """Open until the price is back, or somebody has seen it."""
    name = f"{at.agent} {event.feed}"
    view.open.add(name)
    view.about[name].set(f"warning: {event.feed} left its band")


@alerts.on_event
def threshold_restored(view: Fields, event: ThresholdRestored, at: At) -> None:
    """Closed by Oracle itself."""
    view.open.remove(f"{at.agent} {event.feed}")


@alerts.on_event
def alert_acknowledged(view: Fields, event: AlertAcknowledged, at: At) -> None:
    """Closed in Aegis's own journal, which knows of no other."""
    name = f"{at.agent} {event.alert}"
    view.open.remove(name)
    view.acknowledged[name].set(event.by)


@alerts.on_event
def alert_closed(view: Fields, event: AlertClosed, at: At) -> None:
    """Closed as far as the operator had seen it, whichever journal it was told to."""
    view.open.remove(event.alert)
    view.acknowledged[event.alert].set(event.by)


risk = View("risk", version=1, by_protocol=ORMap[MVRegister])
"""A protocol's risk, as Sage and Pulse see it: where they differ, both opinions stand."""


@risk.on_event
def protocol_analysis_completed(view: Fields, event: ProtocolAnalysisCompleted, at: At) -> None:
    """Sage's opinion replaces its last one."""
    view.by_protocol[event.protocol].set({"by": str(at.agent), "risk": event.risk})


@risk.on_event
def protocol_rated(view: Fields, event: ProtocolRated, at: At) -> None:
    """Pulse's opinion replaces its last one."""
    view.by_protocol[event.protocol].set({"by": str(at.agent), "risk": AS_RISK[event.category]})


VIEWS: Final = (exposure, alerts, risk)
"""The views in the order in which the demo shows them."""
