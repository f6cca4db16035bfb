"""The panels as Grafana takes them: a dashboard's JSON, and the file that has it provisioned."""

import json
from collections.abc import Sequence
from typing import Any, Final

from moonlet.telemetry.dashboard.panel import MetricPanel

_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_WIDTH: Final = 12
_HEIGHT: Final = 8


def dashboard(panels: Sequence[MetricPanel]) -> str:
    """The text of `moonlet.dashboard.json`: two panels a row; its data source is chosen there."""
    source = {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}
    facts = {
        "uid": "moonlet",
        "title": "Moonlet",
        "tags": ["moonlet"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source]},
        "panels": [_panel(panel, number) for number, panel in enumerate(panels)],
    }
    return json.dumps(facts, indent=2) + "\n"


def provider(folder: str) -> str:
    """The text of `moonlet.provider.yml`, for Grafana's folder `provisioning/dashboards`.

    `folder` is where the dashboard lies, for Grafana. JSON, which is YAML too.
    """
    facts = {"name": "moonlet", "type": "file", "options": {"path": folder}}
    return json.dumps({"apiVersion": 1, "providers": [facts]}, indent=2) + "\n"


def _panel(panel: MetricPanel, number: int) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": f"{panel.meaning} {panel.fix}",
        "datasource": _SOURCE,
        "gridPos": {
            "x": number % 2 * _WIDTH,
            "y": number // 2 * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "expr": query,
                "legendFormat": name,
                "datasource": _SOURCE,
            }
            for place, (name, query) in enumerate(panel.queries.items())
        ],
    }
