"""Spans from histories: one a commit, ids that anyone derives alike, traces that end."""

from typing import Any

import msgspec
import pytest

from moonlet.core.commit import Command, Commit
from moonlet.core.hlc import Timestamp
from moonlet.replay import BundleSource, ScanLookup, correlation_of, otlp_trace
from moonlet.telemetry.spans import read_traceparent, span_id, trace_id

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def spans_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        span
        for resource in found["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


async def conversation(shop: BundleSource, agent: str) -> list[Commit[Any]]:
    lookup = ScanLookup(shop)
    first = await lookup.commit(agent, 1)
    assert first is not None
    return await lookup.of_correlation(correlation_of(first))


async def test_every_commit_is_one_span_below_its_cause(shop: BundleSource) -> None:
    commits = await conversation(shop, "order/a")
    found = otlp_trace(commits)
    spans = {span["spanId"]: span for span in spans_of(found)}
    assert set(spans) == {span_id(commit.agent, commit.revision) for commit in commits}
    assert len({resource["resource"]["attributes"][0]["value"]["stringValue"]
                for resource in found["resourceSpans"]}) > 1  # fmt: skip
    roots = [span for span in spans.values() if "parentSpanId" not in span]
    assert [span["name"] for span in roots if "links" not in span] == ["Place"]
    assert roots[0]["traceId"] == trace_id(commits[0].command.id)
    for span in spans.values():
        begins, ends = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        assert begins < ends
        if "parentSpanId" in span:
            above = spans[span["parentSpanId"]]
            assert span["traceId"] == above["traceId"]
            assert begins <= int(above["endTimeUnixNano"])
    assert otlp_trace(commits) == found
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


async def test_what_a_timer_fired_is_another_trace_with_a_link(shop: BundleSource) -> None:
    spans = spans_of(otlp_trace(await conversation(shop, "order/c")))
    (fired,) = [span for span in spans if span["name"] == "Overdue"]
    (link,) = fired["links"]
    assert link["traceId"] != fired["traceId"]
    assert link["spanId"] in {span["spanId"] for span in spans}


def commit(revision: int, id: str, **about: Any) -> Commit[Any]:
    command: Command[Any] = Command(id=id, name="Go", body=None, correlation_id="c", **about)
    time = Timestamp(1_000_000 + revision)
    return Commit(agent="a/1", revision=revision, outcome="accepted", command=command, time=time)


def test_a_conversation_without_end_is_many_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonlet.replay.causes.otlp.SPANS_MAX", 10)
    commits = [commit(1, "first")]
    commits += [commit(n, f"a/1:{n - 1}.0", sender="a/1", number=1) for n in range(2, 96)]
    spans = spans_of(otlp_trace(commits))
    sizes: dict[str, int] = {}
    for span in spans:
        sizes[span["traceId"]] = sizes.get(span["traceId"], 0) + 1
    assert len(sizes) == 10 and max(sizes.values()) == 10
    assert sum("links" in span for span in spans) == 9
    assert all(("parentSpanId" in span) + ("links" in span) <= 1 for span in spans)


def test_a_callers_trace_is_gone_on_with() -> None:
    (span,) = spans_of(otlp_trace([commit(1, "x", traceparent=CALLER)]))
    assert (span["traceId"], span["parentSpanId"]) == tuple(CALLER.split("-")[1:3])


def test_a_cause_that_is_not_there_is_no_parent() -> None:
    (span,) = spans_of(otlp_trace([commit(3, "b/9:7.0", sender="b/9", number=1)]))
    assert "parentSpanId" not in span and "links" not in span


@pytest.mark.parametrize(
    "text",
    ["", "x", CALLER.upper(), "ff" + CALLER[2:], CALLER + "-x", CALLER[:-1], CALLER + "\n",
     f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"],
)  # fmt: skip
def test_what_is_no_traceparent_is_none(text: str) -> None:
    assert read_traceparent(text) is None
    (span,) = spans_of(otlp_trace([commit(1, "x", traceparent=text)]))
    assert span["traceId"] == trace_id("x")


def test_a_traceparent_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    parent = read_traceparent("cc" + CALLER[2:] + "-what-else")
    assert parent is not None and parent.sampled and parent.span == "00f067aa0ba902b7"
