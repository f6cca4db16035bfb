"""Grafana's dashboard: each query is parsed, and each metric and label is one that hosts tell."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest

from moonlet.agents import Host
from moonlet.agents.hosting import figures
from moonlet.agents.hosting.figures import process_figures
from moonlet.telemetry.alerts import RULES
from moonlet.telemetry.dashboard import PANELS, dashboard, provider
from moonlet.telemetry.metrics import Family
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.console.support import invoke
from tests.tools import tree

PAGE = (tree.ROOT / "docs/operations.md").read_text(encoding="utf-8")
ADDED = {"instance", "job", "le"}
"""Labels that Prometheus and histograms add."""


def queries() -> list[str]:
    return [query for panel in PANELS for query in panel.queries.values()]


def parsed(query: str) -> Any:
    return promql.parse(query.replace("$__rate_interval", "5m"))


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """The metrics of a query, and the labels by which it groups or picks."""
    found: list[tuple[str, set[str]]] = []
    grouped: set[str] = set()

    def look(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            grouped.update(node.modifier.labels)
        if isinstance(node, promql.VectorSelector):
            picked = {matcher.name for matcher in node.matchers.matchers}
            found.append((str(node.name), picked - {"__name__"}))
        for name in ("expr", "lhs", "rhs", "vector_selector", "vs"):
            inner = getattr(node, name, None)
            if inner is not None and not isinstance(inner, str):
                look(inner)
        for inner in getattr(node, "args", ()):
            look(inner)

    look(parsed(query))
    return [(name, labels | grouped) for name, labels in found]


@pytest.mark.parametrize("query", [*queries(), *(rule.expression for rule in RULES)])
def test_each_query_is_one(query: str) -> None:
    assert selectors(query), query


async def test_each_metric_and_label_of_it_is_told_and_each_metric_has_a_panel(
    moon_server: MoonServer,
) -> None:
    account = account_type(partitions=1)
    async with (
        moon_server.connect(agents=[account]) as moon,
        Host(moon, [account], metrics=True) as host,
    ):
        await moon.ask("account/a", Deposit(1))
        await moon.query("account/a", GetBalance())
        told = {family.name: family for family in [*figures(host), *process_figures()]}
    drawn = set()
    for query in [*queries(), *(rule.expression for rule in RULES)]:
        for name, labels in selectors(query):
            metric = re.sub(r"_(bucket|sum|count)$", "", name)
            found = told.get(metric if name not in told else name)
            assert found is not None, f"{name} of {query}"
            assert (name != found.name) == (found.kind == "histogram"), query
            assert labels <= known_labels(found) | ADDED, (query, labels)
            drawn.add(found.name)
    assert set(told) - drawn == set()


def known_labels(family: Family) -> set[str]:
    labels = {name for sample in family.samples for name, _ in sample.labels}
    return labels or {"type", "alarm"}  # of what there was none of: see docs/telemetry.md


def test_legends_name_labels_that_are_there() -> None:
    for panel in PANELS:
        for legend, query in panel.queries.items():
            grouped = set().union(*(labels for _, labels in selectors(query)))
            assert set(re.findall(r"{{(\w+)}}", legend)) <= grouped | {"instance"}, panel.title


def test_the_files_are_what_grafana_provisions(tmp_path: Path) -> None:
    done = invoke("alerts", "--grafana", str(tmp_path / "grafana"))
    assert done.code == 0, done
    board = json.loads((tmp_path / "grafana" / "moonlet.dashboard.json").read_text())
    assert json.dumps(board, indent=2) + "\n" == dashboard(PANELS)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
    assert len(set(places)) == len(PANELS) == len({p["id"] for p in board["panels"]})
    for panel in board["panels"]:
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) and panel["description"]
    text = (tmp_path / "grafana" / "moonlet.provider.yml").read_text()
    assert text == provider(str(tmp_path / "grafana"))
    assert json.loads(text)["providers"][0]["options"]["path"].endswith("grafana")


def test_each_panel_is_on_the_page_for_operators() -> None:
    for panel in PANELS:
        assert f"| {panel.title} | {panel.meaning} | {panel.fix} |" in PAGE, panel.title
