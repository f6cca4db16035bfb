"""A dashboard for those who have Grafana: panels as a table, written out as what it provisions."""

from moonlet.telemetry.dashboard.grafana import dashboard, provider
from moonlet.telemetry.dashboard.panel import PANELS, MetricPanel

__all__ = ["PANELS", "MetricPanel", "dashboard", "provider"]
