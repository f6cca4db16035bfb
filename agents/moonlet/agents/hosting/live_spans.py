"""Spans of sampled commands as they are decided, by OpenTelemetry: the ids are the journal's.

So what `moonlet trace --otlp` writes later of the same commits are the same spans.
"""

from types import TracebackType
from typing import Any

from moonlet.agents.deciding import PendingCommit
from moonlet.agents.hosting.host import Host
from moonlet.core.errors import InvalidSettings
from moonlet.telemetry import get_logger
from moonlet.telemetry.spans import read_traceparent, span_id, trace_id

log = get_logger(__name__)


class LiveSpans:
    """Hands spans to a `SpanProcessor` of OpenTelemetry's SDK while it is open, around a host.

    `async with LiveSpans(host, BatchSpanProcessor(exporter)):`, of a started host with `metrics`.
    Only commands whose `traceparent` has the sampled flag make one; it lasts from stored to
    decided. Needs the extra `moonlet[otel]`, which is imported here and nowhere else.
    """

    def __init__(self, host: Host, processor: Any) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import ReadableSpan
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
            from opentelemetry.trace import (
                Link,
                SpanContext,
                SpanKind,
                Status,
                StatusCode,
                TraceFlags,
            )
        except ImportError:
            raise InvalidSettings(
                "live spans need OpenTelemetry: pip install 'moonlet[otel]'"
            ) from None
        self._host = host
        self._processor = processor
        self._span, self._link, self._status = ReadableSpan, Link, Status
        self._context, self._sampled = SpanContext, TraceFlags(TraceFlags.SAMPLED)
        self._error, self._kind = StatusCode.ERROR, SpanKind.CONSUMER
        self._scope = InstrumentationScope("moonlet")
        self._resources: dict[str, Resource] = {}
        self._resource = Resource
        self._failed = False

    async def __aenter__(self) -> "LiveSpans":
        meter = self._host.services.meter
        if meter is None:
            raise InvalidSettings("live spans need a host with metrics=True")
        meter.tell(self._committed)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        meter = self._host.services.meter
        if meter is not None:
            meter.tell(None)

    def _committed(self, pending: PendingCommit) -> None:
        parent = read_traceparent(pending.commit.command.traceparent)
        if parent is None or not parent.sampled:
            return
        try:
            self._processor.on_end(self._made(pending, parent.trace, parent.span))
        except Exception as error:  # no span is worth a commit
            if not self._failed:
                self._failed = True
                log.error("a span could not be handed on", exc_info=error)

    def _made(self, pending: PendingCommit, trace: str, span: str) -> Any:
        commit = pending.commit
        command = commit.command
        above, links, own = self._place(trace, span), [], trace
        if command.timer:
            own, links, above = trace_id(command.id), [self._link(above)], None
        type = commit.agent.partition("/")[0]
        resource = self._resources.get(type)
        if resource is None:
            names = {"service.name": type, "service.namespace": "moonlet"}
            resource = self._resources[type] = self._resource(names)
        micros = commit.wall or commit.time.micros
        return self._span(
            name=command.name,
            context=self._place(own, span_id(commit.agent, commit.revision)),
            parent=above,
            resource=resource,
            attributes={
                "moonlet.agent": commit.agent,
                "moonlet.revision": commit.revision,
                "moonlet.outcome": commit.outcome,
                "moonlet.command.id": command.id,
                "moonlet.correlation.id": command.correlation_id or command.id,
                "moonlet.reason": commit.reason,
            },
            links=links,
            kind=self._kind,
            status=self._status(self._error, commit.reason)
            if commit.outcome == "parked"
            else self._status(),
            start_time=min(pending.queued.delivery.time, micros * 1_000 - 1_000),
            end_time=micros * 1_000,
            instrumentation_scope=self._scope,
        )

    def _place(self, trace: str, span: str) -> Any:
        return self._context(int(trace, 16), int(span, 16), False, self._sampled)
