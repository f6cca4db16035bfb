"""A conversation as OpenTelemetry's traces, in OTLP's JSON: what any of its collectors takes.

Each commit is a span, whose ids are derived from the journal, so exporting twice adds nothing. A
trace is one command from outside and what followed; what a timer fired begins another, and so does
what is beyond `SPANS_MAX`, both with a link to their cause.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from moonlet.core.commit import Commit
from moonlet.replay.causes.cause import CausedBy, cause_of
from moonlet.telemetry.spans import read_traceparent, span_id, trace_id

SPANS_MAX: Final = 1_000
"""Spans of one trace; no picture shows more, and a conversation may go on for weeks."""

_CONSUMER: Final = 5
_ERROR: Final = 2


class _Place(NamedTuple):
    trace: str
    parent: str
    link: tuple[str, str] | None
    began_us: int


def otlp_trace(commits: Sequence[Commit[Any]]) -> dict[str, Any]:
    """The spans as plain data, a resource for each agent type; causes come before what they caused.

    A span lasts from when its cause was decided to when it was decided itself, a microsecond at
    least: waiting is part of it. What came from outside has a microsecond.
    """
    places: dict[tuple[str, int], _Place] = {}
    known = {(commit.agent, commit.revision): commit for commit in commits}
    counts: Counter[str] = Counter()
    spans: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for commit in commits:
        cause = cause_of(commit)
        before = places.get((cause.agent, cause.revision)) if cause is not None else None
        origin = known.get((cause.agent, cause.revision)) if cause is not None else None
        place = _place(commit, cause, before, origin, counts)
        places[commit.agent, commit.revision] = place
        counts[place.trace] += 1
        spans[commit.agent.partition("/")[0]].append(_span(commit, place))
    return {"resourceSpans": [_resource(type, found) for type, found in sorted(spans.items())]}


def _place(
    commit: Commit[Any],
    cause: CausedBy | None,
    before: _Place | None,
    origin: Commit[Any] | None,
    counts: Counter[str],
) -> _Place:
    now = commit.wall_us
    if cause is None:
        parent = read_traceparent(commit.command.traceparent)
        if parent is not None and counts[parent.trace] < SPANS_MAX:
            return _Place(parent.trace, parent.span, None, now - 1)
        return _Place(trace_id(commit.command.id), "", None, now - 1)
    above = span_id(cause.agent, cause.revision)
    if before is None or origin is None:  # it is not among these, or is only claimed
        return _Place(trace_id(commit.command.id), "", None, now - 1)
    if cause.kind == "timer" or counts[before.trace] >= SPANS_MAX:
        return _Place(trace_id(commit.command.id), "", (before.trace, above), now - 1)
    return _Place(before.trace, above, None, min(origin.wall_us, now - 1))


def _span(commit: Commit[Any], place: _Place) -> dict[str, Any]:
    facts: dict[str, str | int] = {
        "moonlet.agent": commit.agent,
        "moonlet.revision": commit.revision,
        "moonlet.outcome": commit.outcome,
        "moonlet.command.id": commit.command.id,
        "moonlet.correlation.id": commit.command.correlation_id,
        "moonlet.sender": commit.command.sender,
        "moonlet.reason": commit.reason,
        "moonlet.events": ", ".join(event.name for event in commit.events),
    }
    span: dict[str, Any] = {
        "traceId": place.trace,
        "spanId": span_id(commit.agent, commit.revision),
        "name": commit.command.name,
        "kind": _CONSUMER,
        "startTimeUnixNano": str(place.began_us * 1_000),
        "endTimeUnixNano": str(commit.wall_us * 1_000),
        "attributes": [_attribute(name, value) for name, value in facts.items() if value != ""],
    }
    if place.parent:
        span["parentSpanId"] = place.parent
    if place.link is not None:
        span["links"] = [{"traceId": place.link[0], "spanId": place.link[1]}]
    if commit.outcome == "parked":
        span["status"] = {"code": _ERROR, "message": commit.reason}
    return span


def _attribute(name: str, value: str | int) -> dict[str, Any]:
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": name, "value": {kind: str(value)}}


def _resource(type: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    attributes = [_attribute("service.name", type), _attribute("service.namespace", "moonlet")]
    return {
        "resource": {"attributes": attributes},
        "scopeSpans": [{"scope": {"name": "moonlet"}, "spans": spans}],
    }
