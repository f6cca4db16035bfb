"""Alerts: one table of rules, judged in the process, and written out for Prometheus."""

from moonlet.telemetry.alerts.judge import Alert, AlertChange, AlertJudge, Silence
from moonlet.telemetry.alerts.rule import AlertRule, Severity, changed_rules
from moonlet.telemetry.alerts.rules_file import rules_file, rules_tests
from moonlet.telemetry.alerts.table import RULES
from moonlet.telemetry.alerts.webhook import webhook

__all__ = [
    "RULES",
    "Alert",
    "AlertChange",
    "AlertJudge",
    "AlertRule",
    "Severity",
    "Silence",
    "changed_rules",
    "rules_file",
    "rules_tests",
    "webhook",
]
