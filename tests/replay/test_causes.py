"""Why and what followed, across agents, timers and calls; and the pictures of it."""

import xml.etree.ElementTree as ET
from typing import Any

import msgspec
import pytest

from moonlet.core.commit import Command, Commit
from moonlet.core.hlc import Timestamp
from moonlet.replay import (
    BundleSource,
    CausedBy,
    Followed,
    Leg,
    ScanLookup,
    cause_of,
    chrome_trace,
    correlation_of,
    critical_path,
    effects,
    mermaid,
    swimlanes,
    why,
)


@pytest.fixture
def lookup(shop: BundleSource) -> ScanLookup:
    return ScanLookup(shop)


async def commit_of(lookup: ScanLookup, agent: str, name: str) -> Commit[Any]:
    for revision in range(1, 20):
        commit = await lookup.commit(agent, revision)
        if commit is not None and commit.command.name == name:
            return commit
    raise AssertionError(name)


async def test_the_chain_of_causes_goes_through_sends_and_calls_to_the_outside(
    lookup: ScanLookup,
) -> None:
    deliver = [
        commit
        for commit in await lookup.of_correlation(
            correlation_of(await commit_of(lookup, "order/a", "Place"))
        )
        if commit.command.name == "Deliver"
    ]
    chain = await why(lookup, deliver[0])
    assert [(step.commit.command.name, step.cause and step.cause.kind) for step in chain] == [
        ("Deliver", "send"), ("Charged", "call"), ("Reserved", "send"), ("Reserve", "send"),
        ("Place", None),
    ]  # fmt: skip
    assert not any(step.missing for step in chain)
    overdue = await why(lookup, await commit_of(lookup, "order/c", "Overdue"))
    assert [step.cause and step.cause.kind for step in overdue] == ["timer", None]


def names_in(tree: Followed) -> list[str]:
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop(0)
        waiting += node.following
        found.append(f"{node.agent} {node.name}{' ' + node.missing if node.missing else ''}")
    return found


async def test_what_followed_is_a_tree_and_its_longest_wait_a_path(lookup: ScanLookup) -> None:
    place = await commit_of(lookup, "order/a", "Place")
    assert names_in(await effects(lookup, place)) == [
        "order/a Place", "stock/tea Reserve", "order/a Overdue uncommitted", "order/a Reserved",
        "order/a Charged", "stock/tea Deliver",
    ]  # fmt: skip
    cut_off = names_in(await effects(lookup, place, 2))
    assert cut_off[-1].endswith("too many") and len(cut_off) == 4
    legs = await critical_path(lookup, place)
    assert [leg.commit.command.name for leg in legs] == [
        "Place", "Reserve", "Reserved", "Charged", "Deliver",
    ]  # fmt: skip
    assert legs[0].waited_us == 0 and sum(leg.waited_us for leg in legs) > 0
    assert legs[0].sent_us is None and legs[0].queued_us is not None
    for leg in legs[1:]:  # the server's clock and the host's may be some µs apart
        assert leg.sent_us is not None and leg.queued_us is not None
        assert leg.sent_us + leg.queued_us == leg.waited_us
        assert leg.committed_us is not None and 0 < leg.committed_us + 1_000 < 1_000_000


async def test_what_was_not_recorded_is_no_time_of_a_path(lookup: ScanLookup) -> None:
    old = claimed("c-1", "c-tester")
    assert await critical_path(lookup, old) == [Leg(old, 0)]


async def test_a_conversation_is_all_that_its_first_command_led_to(lookup: ScanLookup) -> None:
    place = await commit_of(lookup, "order/b", "Place")
    found = await lookup.of_correlation(correlation_of(place))
    assert [commit.command.name for commit in found] == ["Place", "Reserve", "SoldOut"]
    assert found == sorted(found, key=lambda commit: commit.time)
    assert await lookup.of_correlation("nobody") == []


def claimed(id: str, sender: str, **more: Any) -> Commit[Any]:
    command: Command[Any] = Command(id, "Go", {}, sender=sender, **more)
    return Commit("order/a", 9, "accepted", command, Timestamp(5, 0))


def test_only_what_an_agent_sent_itself_has_a_cause() -> None:
    assert cause_of(claimed("order/b:3.1", "order/b")) == CausedBy("send", "order/b", 3, 1)
    assert cause_of(claimed("order/b:3.1:result", "order/b", call="order/b:3.1")) is not None
    for id, sender in (
        ("order/b:3.1", "c-client"),
        ("order/b:3.1", "order/x"),
        ("order/b:3", "order/b"),
        ("order/b:3.1:result", "order/b"),
        ("order/b:" + "9" * 30 + ".1", "order/b"),
        ("plain", "order/b"),
    ):
        assert cause_of(claimed(id, sender)) is None, id


async def test_a_cause_that_is_only_claimed_is_not_believed(lookup: ScanLookup) -> None:
    for claim in ("order/b:1.9", "order/b:1.1", "order/nobody:1.0", "order/a:9.0"):
        agent = claim.partition(":")[0]
        (step,) = await why(lookup, claimed(claim, agent))
        assert step.missing == "not recorded", claim


async def test_the_pictures_show_every_commit_and_run_no_script(lookup: ScanLookup) -> None:
    place = await commit_of(lookup, "order/a", "Place")
    commits = await lookup.of_correlation(correlation_of(place))
    evil = '"]-->x["<script>alert(1)</script>&'
    hostile = msgspec.structs.replace(
        commits[0], command=msgspec.structs.replace(commits[0].command, name=evil)
    )
    commits = [hostile, *commits[1:]]
    chart = mermaid(commits)
    assert chart.startswith("flowchart LR\n") and chart.count("-->") == len(commits) - 1
    assert "<script" not in chart and evil not in chart
    root = ET.fromstring(swimlanes(commits))
    svg = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{svg}circle")) == len(commits)
    assert len(root.findall(f"{svg}path")) == len(commits) - 1
    assert {element.tag for element in root.iter()} <= {
        f"{svg}{name}" for name in ("svg", "title", "text", "line", "path", "circle")
    }
    assert ET.fromstring(swimlanes([])).tag == f"{svg}svg" and mermaid([]) == "flowchart LR\n"
    events = chrome_trace(commits)["traceEvents"]
    kinds = [event["ph"] for event in events]
    assert kinds.count("X") == len(commits) and kinds.count("s") == kinds.count("f")
    assert kinds.count("s") == len(commits) - 1
    flows = {event["id"]: event["ts"] for event in events if event["ph"] == "s"}
    for event in events:
        if event["ph"] == "f":
            assert flows[event["id"]] <= event["ts"], "a cause is before its effect"
