"""The judge: looks at metrics now and then, and says when an alert fires and when it has cleared.

It needs no Prometheus, no task and no clock of its own: whoever holds it calls `look`. All label
sets of one rule are one alert, so that a host under load doesn't call people once for each.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from moonlet.core.errors import InvalidSettings
from moonlet.telemetry.alerts.rule import SECONDS_MAX, AlertRule
from moonlet.telemetry.alerts.series import Series
from moonlet.telemetry.alerts.table import RULES
from moonlet.telemetry.metrics import Family, Labels

HISTORY_MAX: Final = 1_000
"""Changes that are remembered."""

MORE_EVERY: Final = 60.0
"""Seconds between two words about further label sets of an alert that fires already."""

SHOWN_MAX: Final = 10
"""Label sets that a change names; of more it says how many."""


class AlertChange(msgspec.Struct, frozen=True):
    """An alert fired, grew or cleared, at `at` (the judge's time, in seconds).

    `labels` are those beyond the threshold, the worst first, ten at most of `series`; `value` is
    the worst. Of one that cleared they are those that were. `muted`: acknowledged or silenced, so
    nobody is called.
    """

    rule: str
    what: Literal["fires", "grows", "cleared", "acknowledged"]
    at: float
    severity: str
    value: float
    threshold: float
    series: int
    labels: list[dict[str, str]]
    meaning: str
    fix: str
    muted: bool = False
    by: str = ""


class Silence(msgspec.Struct, frozen=True):
    """Nobody is called for this rule before `until` (the judge's time)."""

    rule: str
    until: float
    by: str


class Alert(msgspec.Struct):
    """How a rule stands: `since` when it has been beyond its threshold, `fires` if for long enough.

    `acknowledged` names who looks into it; that ends when it clears.
    """

    rule: AlertRule
    since: float | None = None
    fires: bool = False
    told: int = 0
    told_at: float = 0.0
    beyond: dict[Labels, float] = {}
    acknowledged: str = ""


class AlertJudge:
    """One a process. `history` holds the last 1,000 changes, the newest last."""

    def __init__(self, rules: Sequence[AlertRule] = RULES) -> None:
        names = [rule.name for rule in rules]
        if len(set(names)) != len(names):
            raise InvalidSettings(f"alerts: two rules have one name in {names}")
        self.alerts = {rule.name: Alert(rule) for rule in rules if not rule.off}
        self.silences: dict[str, Silence] = {}
        self.history: deque[AlertChange] = deque(maxlen=HISTORY_MAX)
        self._series = {name: Series(alert.rule) for name, alert in self.alerts.items()}

    def look(self, families: Iterable[Family], now: float) -> list[AlertChange]:
        """Judge what stands now, at `now` (seconds, growing); what changed, in the rules' order."""
        found = {family.name: family for family in families}
        changes = []
        for name, alert in self.alerts.items():
            values = self._series[name].values(found.get(alert.rule.metric), now)
            rule = alert.rule
            beyond = {key: value for key, value in values.items() if rule.is_beyond(value)}
            change = self._judge(alert, beyond, now)
            if change is not None:
                self.history.append(change)
                changes.append(change)
        return changes

    @property
    def firing(self) -> list[Alert]:
        """The alerts that fire, the critical ones first."""
        firing = [alert for alert in self.alerts.values() if alert.fires]
        return sorted(firing, key=lambda alert: alert.rule.severity != "critical")

    def acknowledge(self, rule: str, by: str, now: float) -> None:
        """Somebody looks into it: nobody else is called until it has cleared and fires anew."""
        alert = self._alert(rule)
        if not alert.fires:
            raise InvalidSettings(f"alerts: {rule} does not fire: there is nothing to acknowledge")
        alert.acknowledged = by
        self.history.append(self._change(alert, "acknowledged", alert.beyond, now, by=by))

    def silence(self, rule: str, seconds: float, by: str, now: float) -> None:
        """Call nobody for this rule for so long, up to a day; 0 ends it. It is judged as ever."""
        self._alert(rule)
        if not 0 <= seconds <= SECONDS_MAX:
            raise InvalidSettings(f"alerts: silence for 0 to {SECONDS_MAX} seconds, not {seconds}")
        self.silences[rule] = Silence(rule, now + seconds, by)

    def _alert(self, rule: str) -> Alert:
        alert = self.alerts.get(rule)
        if alert is None:
            raise InvalidSettings(
                f"alerts: no rule {rule!r:.80}: there are {', '.join(self.alerts)}"
            )
        return alert

    def _judge(self, alert: Alert, beyond: dict[Labels, float], now: float) -> AlertChange | None:
        if not beyond:
            was, fired = alert.beyond, alert.fires
            alert.since, alert.fires, alert.beyond = None, False, {}
            if not fired:
                return None
            change = self._change(alert, "cleared", was, now)
            alert.acknowledged = ""
            return change
        if alert.since is None:
            alert.since = now
        alert.beyond = beyond
        if not alert.fires:
            if now - alert.since < alert.rule.hold:
                return None
            alert.fires = True
            return self._told(alert, "fires", beyond, now)
        if len(beyond) > alert.told and now - alert.told_at >= MORE_EVERY:
            return self._told(alert, "grows", beyond, now)
        return None

    def _told(
        self, alert: Alert, what: Literal["fires", "grows"], beyond: dict[Labels, float], now: float
    ) -> AlertChange:
        alert.told, alert.told_at = len(beyond), now
        return self._change(alert, what, beyond, now)

    def _change(
        self,
        alert: Alert,
        what: Literal["fires", "grows", "cleared", "acknowledged"],
        beyond: dict[Labels, float],
        now: float,
        by: str = "",
    ) -> AlertChange:
        rule = alert.rule
        worst = sorted(beyond, key=lambda labels: beyond[labels], reverse=rule.how != "below")
        silence = self.silences.get(rule.name)
        return AlertChange(
            rule=rule.name,
            what=what,
            at=now,
            severity=rule.severity,
            value=beyond[worst[0]] if worst else 0.0,
            threshold=rule.threshold,
            series=len(beyond),
            labels=[dict(labels) for labels in worst[:SHOWN_MAX]],
            meaning=rule.meaning,
            fix=rule.fix,
            muted=bool(alert.acknowledged) or (silence is not None and now < silence.until),
            by=by or alert.acknowledged,
        )
