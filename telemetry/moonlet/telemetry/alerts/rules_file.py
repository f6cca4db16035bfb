"""The rules as files for Prometheus: the rules themselves, and unit tests of them for `promtool`.

JSON, which is YAML too: nothing has to be quoted in two ways.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from moonlet.telemetry.alerts.rule import AlertRule
from moonlet.telemetry.metrics import BOUNDS

_LABELS: Final = {"instance": "host:9464", "job": "moonlet"}


def rules_file(rules: Sequence[AlertRule]) -> str:
    """The text of `moonlet.rules.yml`."""
    group = {"name": "moonlet", "rules": [_alerting(rule) for rule in rules if not rule.off]}
    return json.dumps({"groups": [group]}, indent=2) + "\n"


def rules_tests(rules: Sequence[AlertRule], file: str) -> str:
    """The text of its tests, for `promtool test rules`: each rule fires, and none without cause."""
    tests = [_test(rule, fires) for rule in rules if not rule.off for fires in (True, False)]
    facts = {"rule_files": [file], "evaluation_interval": "15s", "tests": tests}
    return json.dumps(facts, indent=2) + "\n"


def _alerting(rule: AlertRule) -> dict[str, Any]:
    return {
        "alert": _title(rule),
        "expr": rule.expression,
        "for": f"{rule.hold}s",
        "labels": {"severity": rule.severity},
        "annotations": {"summary": rule.meaning, "description": rule.fix},
    }


def _title(rule: AlertRule) -> str:
    return "Moonlet" + "".join(part.capitalize() for part in rule.name.split("-"))


def _test(rule: AlertRule, fires: bool) -> dict[str, Any]:
    minutes = (rule.window + rule.hold) // 60 + 2
    expected = []
    if fires:
        expected = [
            {
                "exp_labels": {**_LABELS, "severity": rule.severity},
                "exp_annotations": {"summary": rule.meaning, "description": rule.fix},
            }
        ]
    return {
        "name": f"{rule.name}: {'fires' if fires else 'is quiet'}",
        "interval": "15s",
        "input_series": _input(rule, fires, minutes * 4),
        "alert_rule_test": [
            {"eval_time": f"{minutes}m", "alertname": _title(rule), "exp_alerts": expected}
        ],
    }


def _input(rule: AlertRule, fires: bool, steps: int) -> list[dict[str, str]]:
    labels = ",".join(f'{name}="{value}"' for name, value in _LABELS.items())
    if rule.how in ("above", "below"):
        beyond = rule.threshold + 1 if rule.how == "above" else rule.threshold - 1
        value = beyond if fires else rule.threshold
        return [{"series": f"{rule.metric}{{{labels}}}", "values": f"{value:g}+0x{steps}"}]
    if rule.how == "increase":
        step = rule.threshold + 1 if fires else 0
        return [{"series": f"{rule.metric}{{{labels}}}", "values": f"0+{step:g}x{steps}"}]
    found = []
    for bound in (*BOUNDS, None):
        taken = bound is None or not fires or bound > 2 * rule.threshold
        le = "+Inf" if bound is None else repr(bound)
        series = f'{rule.metric}_bucket{{{labels},le="{le}"}}'
        found.append({"series": series, "values": f"0+{100 if taken else 0}x{steps}"})
    return found
