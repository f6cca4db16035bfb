"""What came of a night: computed from the journal's commits and the driver's own log alone.

Nothing here asks the satellites how they think they did: every figure is a count of commits.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any, Final

from msgspec import Struct

from moonlet.core import Commit
from moonlet.satellites.aegis import LEVELS
from moonlet.satellites.night.audit import DeliveryAudit, SentCommand, audit
from moonlet.satellites.night.causes import Causes, Commits

DENIALS: Final = ("TradeRefused", "WashSaleBlocked")
"""Events that are a satellite's no, though their command was accepted."""


class AlertLine(Struct, frozen=True):
    """Alerts of one level, and the time (ms) from Oracle's commit of the price to Aegis's alert.

    Both times are None where no alert of the level came from a price.
    """

    level: str
    count: int
    median_ms: float | None
    worst_ms: float | None


class TradeLine(Struct, frozen=True):
    """A trade that Forge executed, and the commit in which Aegis approved it.

    `approved_by` is that commit as agent and revision, '' if its cause holds no such approval;
    `began_with` is the first command of the chain.
    """

    trade: str
    purpose: str
    asset: str
    amount: int
    price: int
    proceeds: int
    gas: int
    executed_by: str
    approval: int
    approved_by: str
    began_with: str


class RefusalLine(Struct, frozen=True):
    """A no: `kind` is the commit's outcome if it was not accepted, else the event that says it."""

    agent: str
    revision: int
    kind: str
    command: str
    reason: str


class LedgerLine(Struct, frozen=True):
    """Fuel's books, summed from its entries: micro-dollars. `unbalanced` entries must be none."""

    entries: int
    debits: int
    credits: int
    unbalanced: int
    balances: dict[str, int]

    @property
    def balance(self) -> int:
        """Debits less credits: 0."""
        return self.debits - self.credits


class SagaLine(Struct, frozen=True):
    """Bridge's transfers: done, undone after a failed leg, failed with nothing to undo."""

    completed: int
    compensated: int
    failed: int
    profit: int


class Report(Struct, frozen=True):
    """All of it. `commits`, alerts, trades and refusals are those since the driver began.

    Audit and ledger cover the whole history that was given. `seconds` is from the first of these
    commits to the last.
    """

    commits: int
    seconds: float
    outcomes: dict[str, int]
    events: dict[str, int]
    alerts: tuple[AlertLine, ...]
    trades: tuple[TradeLine, ...]
    refusals: tuple[RefusalLine, ...]
    ledger: LedgerLine
    saga: SagaLine
    audit: DeliveryAudit

    @property
    def commits_per_second(self) -> float:
        """Commits over their time; 0 of fewer than two."""
        return (self.commits - 1) / self.seconds if self.seconds else 0.0


def report(commits: Commits, sent: Iterable[SentCommand]) -> Report:
    """The report of a run that sent these commands, from each agent's commits in order."""
    sent = tuple(sent)
    recent = _since(commits, sent)
    causes = Causes(commits)
    times = [commit.time.micros for commit in recent]
    return Report(
        commits=len(recent),
        seconds=(max(times) - min(times)) / 1_000_000 if times else 0.0,
        outcomes=dict(sorted(Counter(commit.outcome for commit in recent).items())),
        events=dict(sorted(Counter(e.name for commit in recent for e in commit.events).items())),
        alerts=_alerts(recent, causes),
        trades=tuple(_trades(recent, causes)),
        refusals=tuple(_refusals(recent)),
        ledger=_ledger(commits),
        saga=_saga(recent),
        audit=audit(commits, sent),
    )


def _since(commits: Commits, sent: tuple[SentCommand, ...]) -> list[Commit[Any]]:
    """All commits from the first that the driver caused, in order of time."""
    ids = {(each.agent, each.id) for each in sent}
    everything = sorted(
        (commit for found in commits.values() for commit in found),
        key=lambda commit: (commit.time, commit.agent),
    )
    began = (c.time for c in everything if (c.agent, c.command.id) in ids)
    start = next(began, None)
    return [commit for commit in everything if start is not None and commit.time >= start]


def _alerts(recent: Iterable[Commit[Any]], causes: Causes) -> tuple[AlertLine, ...]:
    counts: Counter[str] = Counter()
    waits: dict[str, list[float]] = {}
    for commit in recent:
        levels = [event.body["level"] for event in commit.events if event.name == "RiskAlert"]
        counts.update(levels)
        wait = _since_price(commit, causes) if levels else None
        for level in levels:
            if wait is not None:
                waits.setdefault(level, []).append(wait)
    return tuple(
        AlertLine(
            level,
            counts[level],
            median(waits[level]) if level in waits else None,
            max(waits[level]) if level in waits else None,
        )
        for level, _ in LEVELS
    )


def _since_price(commit: Commit[Any], causes: Causes) -> float | None:
    """Milliseconds from the commit that validated the price; None if no price was the cause."""
    for cause in causes.chain(commit):
        if any(event.name == "OracleValidated" for event in cause.events):
            return (commit.time.micros - cause.time.micros) / 1_000
    return None


def _trades(recent: Iterable[Commit[Any]], causes: Causes) -> Iterator[TradeLine]:
    for commit in recent:
        for event in commit.events:
            if event.name != "TxExecuted":
                continue
            body = event.body
            trade = body["trade"]
            *_, first = causes.chain(commit)
            yield TradeLine(
                trade=trade["id"],
                purpose=trade["purpose"],
                asset=trade["asset"],
                amount=trade["amount"],
                price=body["price"],
                proceeds=body["proceeds"],
                gas=body["gas"],
                executed_by=f"{commit.agent} {commit.revision}",
                approval=body["approval"],
                approved_by=_approval(commit, body["approval"], trade["id"], causes),
                began_with=first.command.id,
            )


def _approval(commit: Commit[Any], number: int, trade: str, causes: Causes) -> str:
    """The commit of Aegis that sent Forge this command, if it approved this trade."""
    cause = causes.of(commit)
    if cause is None or not cause.agent.startswith("aegis/"):
        return ""
    for event in cause.events:
        if (
            event.name == "TradeApproved"
            and event.body["approval"] == number
            and event.body["trade"]["id"] == trade
        ):
            return f"{cause.agent} {cause.revision}"
    return ""


def _refusals(recent: Iterable[Commit[Any]]) -> Iterator[RefusalLine]:
    for commit in recent:
        name = commit.command.name
        if commit.outcome != "accepted":
            yield RefusalLine(commit.agent, commit.revision, commit.outcome, name, commit.reason)
        for event in commit.events:
            if event.name in DENIALS:
                reason = event.body.get("reason") or "bought back within thirty days of a loss"
                yield RefusalLine(commit.agent, commit.revision, event.name, name, reason)


def _ledger(commits: Commits) -> LedgerLine:
    entries = debits = credits = unbalanced = 0
    balances: Counter[str] = Counter()
    for agent, found in commits.items():
        if not agent.startswith("fuel/"):
            continue
        for event in (e for commit in found for e in commit.events if e.name == "EntryPosted"):
            amounts = [posting["amount"] for posting in event.body["postings"]]
            entries += 1
            debits += sum(amount for amount in amounts if amount > 0)
            credits -= sum(amount for amount in amounts if amount < 0)
            unbalanced += sum(amounts) != 0
            for posting in event.body["postings"]:
                balances[posting["account"]] += posting["amount"]
    return LedgerLine(entries, debits, credits, unbalanced, dict(sorted(balances.items())))


def _saga(recent: Iterable[Commit[Any]]) -> SagaLine:
    completed = compensated = failed = profit = 0
    for event in (event for commit in recent for event in commit.events):
        if event.name == "ExecutionCompleted":
            completed += 1
            profit += event.body["profit"]
        elif event.name == "ExecutionFailed":
            compensated += event.body["compensated"]
            failed += not event.body["compensated"]
            profit += event.body["returned"] - event.body["amount"]
    return SagaLine(completed, compensated, failed, profit)
