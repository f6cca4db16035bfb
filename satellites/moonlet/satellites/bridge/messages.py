"""Bridge's messages: prices per chain, opportunities, two-leg transfers, incidents."""

from typing import Literal

from msgspec import Struct

from moonlet.satellites.bridge.venue import Action
from moonlet.satellites.common import Basis, Money, Name, Price, Share, Signed, Text, Tick, Time

Severity = Literal["low", "medium", "high", "critical"]


# commands


class SetRoute(Struct, frozen=True):
    """A bridge between two chains: its fee, its size, and how its far side prices a depeg.

    Both of these are synthetic: `premium`, the share of the distance to the peg that dollars cost
    more there, and `outages`, the executions (1, 2 …) whose second leg the venue will refuse.
    """

    bridge: Name
    source: Name
    target: Name
    premium: Basis
    fee: Share
    size: Money
    outages: tuple[int, ...] = ()


class ExecuteArbitrage(Struct, frozen=True):
    """Carry out an opportunity that is still open."""

    opportunity_id: Name


class OptimizeLiquidity(Struct, frozen=True):
    """Propose how to even out cash over chains."""

    cash: dict[Name, Money]


class RebalancePortfolio(Struct, frozen=True):
    """Propose transfers that bring chains to their target shares."""

    cash: dict[Name, Money]
    targets: dict[Name, Share]


class RecordBridgeIncident(Struct, frozen=True):
    """Something went wrong at a bridge; a critical one closes it."""

    bridge: Name
    severity: Severity
    what: Text


class UpdateBridgeSecurityAudit(Struct, frozen=True):
    """An audit's score, 0 to 10,000; below 5,000 the bridge is not used."""

    bridge: Name
    score: Share
    auditor: Text


# queries


class GetArbitrageOpportunities(Struct, frozen=True):
    """All opportunities remembered, newest last."""


class GetExecutableOpportunities(Struct, frozen=True):
    """Those that can be carried out now."""


class GetBridgeRiskAssessments(Struct, frozen=True):
    """Every bridge's risk score, audit and incidents."""


class GetPortfolioStatus(Struct, frozen=True):
    """What is under way, and what all executions made."""


class GetCriticalBridgeAlerts(Struct, frozen=True):
    """Critical incidents."""


# events


class RouteSet(Struct, frozen=True):
    """A route is known."""

    bridge: Name
    source: Name
    target: Name
    premium: Basis
    fee: Share
    size: Money
    outages: tuple[int, ...]


class ChainsPriced(Struct, frozen=True):
    """What the asset costs; opportunities are measured against it."""

    asset: Name
    price: Price
    tick: Tick
    at: Time


class OpportunityDetected(Struct, frozen=True):
    """Dollars are dearer at the far end of a bridge than the bridge costs."""

    opportunity: Name
    bridge: Name
    spread: Basis
    tick: Tick


class OpportunityEvaluated(Struct, frozen=True):
    """What it would make, how risky it is (0 to 10,000), and the path."""

    opportunity: Name
    net_profit: Signed
    risk_score: Share
    path: tuple[Name, ...]
    executable: bool


class ExecutionInitiated(Struct, frozen=True):
    """An execution asked Fuel for its capital."""

    execution: Name
    opportunity: Name
    bridge: Name
    amount: Money
    spread: Basis


class LegStarted(Struct, frozen=True):
    """A call went out to the venue."""

    execution: Name
    action: Action
    amount: Money
    attempt: int


class LegCompleted(Struct, frozen=True):
    """The venue confirmed a leg."""

    execution: Name
    action: Action
    amount: Money
    receipt: str


class LegRefused(Struct, frozen=True):
    """A leg did not happen."""

    execution: Name
    action: Action
    reason: Text


class ExecutionCompleted(Struct, frozen=True):
    """Both legs are done."""

    execution: Name
    amount: Money
    returned: Money
    profit: Signed


class ExecutionFailed(Struct, frozen=True):
    """It came to nothing; `compensated`: the first leg was undone, and `returned` is back."""

    execution: Name
    amount: Money
    returned: Money
    compensated: bool
    reason: Text


class BridgeIncident(Struct, frozen=True):
    """Something went wrong at a bridge."""

    bridge: Name
    severity: Severity
    what: Text


class BridgeAudited(Struct, frozen=True):
    """A bridge's audit score."""

    bridge: Name
    score: Share
    auditor: Text


class LiquidityOptimized(Struct, frozen=True):
    """Cash per chain as it should be."""

    cash: dict[Name, Money]


class TransfersProposed(Struct, frozen=True):
    """Transfers that would bring chains to their targets: from, to, how much."""

    transfers: tuple[tuple[Name, Name, Money], ...]
