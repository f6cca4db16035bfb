"""A rule: when a metric means that somebody should look."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from moonlet.core.errors import InvalidSettings

Severity = Literal["warning", "critical"]
"""critical: agents don't go on, or soon won't. warning: they do, and something is wrong."""

How = Literal["above", "below", "increase", "p99"]
"""above, below: the value itself. increase: by how much a counter grew within the window. p99: the
99th percentile, in seconds, of what a histogram took in within the window."""

SECONDS_MAX: Final = 86_400


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """`metric`, taken as `how`, is beyond `threshold` for `hold` seconds without a break.

    `threshold` itself is not beyond. `window` is in seconds, 0 where the value itself is judged.
    `meaning` and `fix` are sentences for whoever is called.
    """

    name: str
    metric: str
    how: How
    threshold: float
    severity: Severity
    meaning: str
    fix: str
    window: int = 0
    hold: int = 0
    off: bool = False

    @property
    def expression(self) -> str:
        """The same for Prometheus."""
        bound = f"{self.threshold:g}"
        if self.how == "above":
            return f"{self.metric} > {bound}"
        if self.how == "below":
            return f"{self.metric} < {bound}"
        if self.how == "increase":
            return f"increase({self.metric}[{self.window}s]) > {bound}"
        rate = f"rate({self.metric}_bucket[{self.window}s])"
        return f"histogram_quantile(0.99, {rate}) > {bound}"

    def is_beyond(self, value: float) -> bool:
        """Whether this value is what the rule warns of."""
        return value < self.threshold if self.how == "below" else value > self.threshold


_SETTINGS: Final = ("threshold", "window", "hold", "severity", "off")


def changed_rules(rules: Sequence[AlertRule], settings: Mapping[str, Any]) -> tuple[AlertRule, ...]:
    """The rules with what settings say of some, by name: threshold, window, hold, severity, off.

    Raises `InvalidSettings` for what is no rule, no setting or no value of it.
    """
    if not isinstance(settings, Mapping):
        raise InvalidSettings(f"alerts: {settings!r:.80}: give a table for each rule, by its name")
    known = {rule.name: rule for rule in rules}
    for name, given in settings.items():
        rule = known.get(name)
        if rule is None:
            raise InvalidSettings(f"alerts: no rule {name!r:.80}: there are {', '.join(known)}")
        if not isinstance(given, Mapping) or not set(given) <= set(_SETTINGS):
            raise InvalidSettings(
                f"alerts.{name}: {given!r:.80}: give a table of {', '.join(_SETTINGS)}"
            )
        try:
            changed = msgspec.convert({**msgspec.structs.asdict(rule), **given}, AlertRule)
        except msgspec.ValidationError as error:
            raise InvalidSettings(f"alerts.{name}: {error}") from None
        windowed = changed.how in ("increase", "p99")
        if (
            not math.isfinite(changed.threshold)
            or not 0 <= changed.hold <= SECONDS_MAX
            or not (0 < changed.window <= SECONDS_MAX if windowed else changed.window == 0)
        ):
            raise InvalidSettings(
                f"alerts.{name}: a threshold is a number, hold and window are seconds up to"
                f" {SECONDS_MAX}; only `increase` and `p99` have a window, and need one"
            )
        known[name] = changed
    return tuple(known.values())
