"""The pages of a host for who watches it: `/metrics`, `/health` and `/ready`."""

from types import TracebackType
from typing import Any

import msgspec

from moonlet.agents.hosting.alert_watch import AlertWatch
from moonlet.agents.hosting.figures import figures, process_figures
from moonlet.agents.hosting.host import Host
from moonlet.telemetry.alerts import Alert
from moonlet.telemetry.metrics import CONTENT_TYPE, Endpoint, PageText, exposition


class HostPages:
    """Served while it is open: `async with HostPages(host, 9464) as pages`, around a started host.

    On 127.0.0.1 alone; port 0 takes a free one, `pages.address` says which. `/health` is 200 as
    long as the host works at all (restart it if not), `/ready` while it also reaches its server and
    its lease holds; else 503. Both say why, as JSON. With a `watch` `/alerts` says what fires, and
    what has.
    """

    def __init__(self, host: Host, port: int, watch: AlertWatch | None = None) -> None:
        self._host = host
        self._watch = watch
        pages = {"/metrics": self._metrics, "/health": self._health, "/ready": self._ready}
        if watch is not None:
            pages["/alerts"] = self._alerts
        self._endpoint = Endpoint(pages, port)

    async def __aenter__(self) -> "HostPages":
        await self._endpoint.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._endpoint.close()

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self._endpoint.address

    def _metrics(self) -> PageText:
        return PageText(200, CONTENT_TYPE, exposition([*figures(self._host), *process_figures()]))

    def _health(self) -> PageText:
        failure = self._host.failure
        return self._told([f"a background task died: {failure!r}"] if failure is not None else [])

    def _ready(self) -> PageText:
        return self._told(not_ready(self._host))

    def _alerts(self) -> PageText:
        assert self._watch is not None
        judge = self._watch.judge
        facts = {
            "firing": [_standing(alert) for alert in judge.firing],
            "history": [*judge.history],
        }
        return PageText(200, "application/json", msgspec.json.encode(facts).decode() + "\n")

    def _told(self, reasons: list[str]) -> PageText:
        host = self._host
        facts: dict[str, Any] = {
            "ok": not reasons,
            "reasons": reasons,
            "host": host.id,
            "types": sorted(host.types),
            "partitions": len(host.partitions),
            "agents": host.agents,
            "alarms": host.services.alarms,
        }
        text = msgspec.json.encode(facts).decode() + "\n"
        return PageText(503 if reasons else 200, "application/json", text)


def not_ready(host: Host) -> list[str]:
    """Why a started host can't be counted on just now; nothing if it can."""
    reasons = []
    if host.failure is not None:
        reasons.append(f"a background task died: {host.failure!r}")
    if not host.services.bus.connected:
        reasons.append("the server can't be reached")
    elif not host.lease_holds:
        reasons.append("its lease may have run out: the server does not renew it")
    return reasons + sorted({found.trouble for found in host.owned if found.trouble})


def _standing(alert: Alert) -> dict[str, Any]:
    rule = alert.rule
    return {
        "rule": rule.name,
        "severity": rule.severity,
        "since": alert.since,
        "acknowledged": alert.acknowledged,
        "beyond": [{"labels": dict(labels), "value": n} for labels, n in alert.beyond.items()],
        "meaning": rule.meaning,
        "fix": rule.fix,
    }
