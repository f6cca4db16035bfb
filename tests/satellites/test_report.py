"""The report: figures from commits alone, and what it says when something is wrong."""

import asyncio
from typing import Any

import msgspec
import pytest

from moonlet.core.commit import Commit, Event
from moonlet.satellites.night import Drive, depeg, drive
from moonlet.satellites.night.reporting import AlertLine, report
from tests.satellites.bus import STEP_US, Bus


@pytest.fixture(scope="module")
def night() -> Drive:
    return asyncio.run(drive(Bus(), depeg(), speed=1_000.0))


def changed(night: Drive, agent: str, event: str, **body: Any) -> dict[str, list[Commit[Any]]]:
    """The commits with other fields in an agent's first event of a name."""
    commits = {name: list(found) for name, found in night.commits.items()}
    for n, commit in enumerate(commits[agent]):
        for i, each in enumerate(commit.events):
            if each.name == event:
                events = list(commit.events)
                events[i] = Event(event, {**each.body, **body}, each.version)
                commits[agent][n] = msgspec.structs.replace(commit, events=tuple(events))
                return commits
    raise AssertionError(f"{agent} has no {event}")


def test_commits_outcomes_and_rate_are_counted(night: Drive) -> None:
    told = report(night.commits, night.sent)
    assert told.commits == sum(len(found) for found in night.commits.values())
    assert told.commits == sum(told.outcomes.values())
    assert told.seconds == (told.commits - 1) * STEP_US / 1_000_000
    assert told.commits_per_second == pytest.approx(1_000_000 / STEP_US)


def test_an_empty_journal_is_reported_and_all_that_was_told_is_lost(night: Drive) -> None:
    told = report({agent: [] for agent in night.commits}, night.sent)
    assert (told.commits, told.commits_per_second, told.trades) == (0, 0.0, ())
    assert told.alerts[0] == AlertLine("safe", 0, None, None)
    assert len(told.audit.lost) == len(night.sent)


def test_a_trade_names_the_commit_that_approved_it_and_what_it_began_with(night: Drive) -> None:
    told = report(night.commits, night.sent)
    line = told.trades[0]
    agent, revision = line.approved_by.split()
    approval = night.commits[agent][int(revision) - 1]
    assert approval.events[-1].name == "TradeApproved"
    assert approval.events[-1].body["approval"] == line.approval
    assert line.began_with.startswith("main-tick-")
    assert line.purpose == "reduce" and line.proceeds > 0


def test_a_trade_under_an_approval_that_aegis_never_gave_stands_out(night: Drive) -> None:
    for body in ({"approval": 77}, {"trade": {"id": "another", "purpose": "reduce"}}):
        told = report(changed(night, "aegis/main", "TradeApproved", **body), night.sent)
        assert [line.approved_by for line in told.trades].count("") == 1
        assert told.trades[0].approved_by == ""


def test_an_entry_that_does_not_balance_stands_out(night: Drive) -> None:
    wrong = [{"account": "cash:ethereum", "amount": 5}]
    told = report(changed(night, "fuel/main", "EntryPosted", postings=wrong), night.sent)
    assert told.ledger.unbalanced == 1
    assert told.ledger.balance == 5


def test_refusals_name_agent_command_and_reason(night: Drive) -> None:
    told = report(night.commits, night.sent)
    lines = {line.kind: line for line in told.refusals}
    assert lines["rejected"].command in ("AddPosition", "GrantApproval")
    assert lines["WashSaleBlocked"].agent == "fuel/main"
    assert "nobody" in lines["TradeRefused"].reason
    assert all(line.reason and line.revision for line in told.refusals)


def test_alert_times_run_from_the_price_to_the_alert(night: Drive) -> None:
    commits = {name: list(found) for name, found in night.commits.items()}
    for n, commit in enumerate(commits["aegis/main"]):
        if any(event.body.get("level") == "safe" for event in commit.events):
            late = msgspec.structs.replace(commit.time, micros=commit.time.micros + 5_000_000)
            commits["aegis/main"][n] = msgspec.structs.replace(commit, time=late)
            break
    (safe, *_) = report(commits, night.sent).alerts
    assert safe.worst_ms is not None and safe.median_ms is not None
    assert safe.worst_ms > 5_000 > safe.median_ms


def test_a_second_run_on_stored_history_reports_its_own_commits_only() -> None:
    async def twice() -> tuple[Drive, Drive]:
        bus = Bus()
        first = await drive(bus, depeg()[:10], speed=1_000.0)
        return first, await drive(bus, depeg()[:10], speed=1_000.0)

    first, second = asyncio.run(twice())
    before = report(first.commits, first.sent)
    told = report(second.commits, second.sent)
    assert told.events["OracleValidated"] == 10
    assert told.commits < before.commits
    assert told.audit.lost == told.audit.doubled == told.audit.strays == ()


def test_a_report_is_plain_data(night: Drive) -> None:
    told = report(night.commits, night.sent)
    data = msgspec.json.encode(told)
    assert msgspec.json.decode(data, type=type(told)) == told
