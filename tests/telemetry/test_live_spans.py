"""Spans of sampled commands: those of the journal, over agents, hosts, calls and timers."""

import asyncio
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from moonlet.agents import (
    AgentType,
    Decision,
    Host,
    LiveSpans,
    Perform,
    Schedule,
    Send,
    connect,
)
from moonlet.core.errors import InvalidSettings
from moonlet.replay.causes.otlp import otlp_trace
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from moonlet.telemetry import traced
from moonlet.telemetry.spans import brought, passed_on, read_traceparent, trace_id
from tests.console.support import ENVIRONMENT

OUTSIDE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = OUTSIDE[:-2] + "00"


class Kept(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Go(msgspec.Struct, frozen=True):
    what: str


class Went(msgspec.Struct, frozen=True):
    what: str


class Asked(msgspec.Struct, frozen=True):
    pass


class State(msgspec.Struct, frozen=True):
    went: int = 0


def walker(name: str, then: str = "") -> AgentType[State]:
    kind = AgentType(name, State, partitions=1)

    @kind.on_command
    def go(state: State, command: Go) -> Decision:
        yield Went(command.what)
        if command.what == "start":
            yield Send(f"{then}/b", Go("sent"))
            yield Schedule(Go("fired"), after=0.01, name="later")
            yield Perform(Asked())
        if command.what == "fired":
            yield Send(f"{then}/b", Go("sent by a timer"))

    @kind.on_event
    def went(state: State, event: Went) -> State:
        return State(state.went + 1)

    @kind.on_perform
    def asked(call: Asked) -> Go:
        return Go("answered")

    return kind


def ids(spans: list[ReadableSpan]) -> set[tuple[Any, ...]]:
    return {
        (
            f"{span.context.trace_id:032x}",
            f"{span.context.span_id:016x}",
            f"{span.parent.span_id:016x}" if span.parent else "",
            tuple(f"{link.context.trace_id:032x}" for link in span.links),
            span.name,
        )
        for span in spans
    }


async def test_they_are_those_of_the_journal_over_agents_and_hosts(
    shared_server: ServerProcess, name: str
) -> None:
    first, second = walker("first", "second"), walker("second")
    topology = Topology(prefix=name)
    kept = Kept()
    async with (
        connect(shared_server.url, agents=[first, second], topology=topology) as moon,
        Host(moon, [first], metrics=True) as one,
        Host(moon, [second], metrics=True) as two,
        LiveSpans(one, kept),
        LiveSpans(two, kept),
    ):
        with traced(OUTSIDE):
            receipt = await moon.tell("first/a", Go("start"))
        assert brought() == ""
        await receipt.committed()
        with traced(UNSAMPLED):
            await (await moon.tell("first/c", Go("unsampled"))).committed()
        await (await moon.tell("first/c", Go("untraced"))).committed()
        async with asyncio.timeout(20):
            while len(kept.spans) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # sleeps: between two looks
        commits = [
            commit for agent in ("first/a", "second/b") async for commit in moon.history(agent)
        ]
    commits.sort(key=lambda commit: (commit.wall_us, commit.agent, commit.revision))
    later = {
        (
            span["traceId"],
            span["spanId"],
            span.get("parentSpanId", ""),
            tuple(link["traceId"] for link in span.get("links", ())),
            span["name"],
        )
        for resource in otlp_trace(commits)["resourceSpans"]
        for span in resource["scopeSpans"][0]["spans"]
    }
    assert ids(kept.spans) == later and len(later) == 5
    traces = {span.context.trace_id for span in kept.spans}
    assert len(traces) == 2 and int(OUTSIDE[3:35], 16) in traces, "a timer begins another"
    for span in kept.spans:
        assert span.start_time is not None and span.end_time is not None
        assert 0 < span.end_time - span.start_time < 60e9


async def test_a_processor_that_fails_costs_no_commit(
    shared_server: ServerProcess, name: str
) -> None:
    class Broken(Kept):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("no")

    kind = walker("first", "second")
    async with (
        connect(shared_server.url, agents=[kind], topology=Topology(prefix=name)) as moon,
        Host(moon, [kind], metrics=True) as host,
        LiveSpans(host, Broken()),
    ):
        with traced(OUTSIDE):
            for _ in range(3):
                commit = await (await moon.tell("first/a", Go("x"))).committed()
        assert commit.revision == 3
        with pytest.raises(InvalidSettings, match="metrics"):
            async with Host(moon, [kind]) as plain, LiveSpans(plain, Broken()):
                pass


@pytest.mark.parametrize("odd", ["", "x", OUTSIDE[:-1], "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_what_is_no_traceparent_is_as_none(odd: str) -> None:
    with traced(odd):
        assert brought() == ""
    assert passed_on(odd, "c", "a/b", 1, timer=False) == ""
    own = read_traceparent(passed_on(OUTSIDE, "c", "a/b", 1, timer=True))
    assert own is not None and own.trace == trace_id("c") and own.sampled
    kept = read_traceparent(passed_on(UNSAMPLED, "c", "a/b", 1, timer=False))
    assert kept is not None and kept.trace == OUTSIDE[3:35] and not kept.sampled


def test_nobody_imports_opentelemetry_unasked() -> None:
    code = (
        "import sys, moonlet.agents, moonlet.telemetry, moonlet.console.agents\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, timeout=60, check=False)
    assert done.returncode == 0
