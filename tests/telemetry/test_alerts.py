"""Alerts fire and clear, are told once, and say the same to Prometheus."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from moonlet.core.errors import InvalidSettings
from moonlet.telemetry.alerts import (
    RULES,
    AlertJudge,
    AlertRule,
    changed_rules,
    rules_file,
    rules_tests,
)
from moonlet.telemetry.metrics import Family, Histogram, family
from tests.tools import tree

PROMTOOL = shutil.which("promtool") or os.environ.get("PROMTOOL")


def of(name: str) -> AlertRule:
    return next(rule for rule in RULES if rule.name == name)


def quiet(rule: AlertRule) -> Family:
    if rule.how == "p99":
        return family(rule.metric, "histogram", "", ({"type": "a"}, Histogram()))
    return family(rule.metric, "gauge", "", ({"type": "a"}, rule.threshold))


def loud(rule: AlertRule, step: int) -> Family:
    if rule.how == "p99":
        times = Histogram()
        for _ in range(step * 10):
            times.observe(rule.threshold * 3)
        return family(rule.metric, "histogram", "", ({"type": "a"}, times))
    if rule.how == "increase":
        grown = rule.threshold + step * (rule.threshold + 1)
        return family(rule.metric, "counter", "", ({"type": "a"}, grown))
    beyond = rule.threshold + (1 if rule.how == "above" else -1)
    return family(rule.metric, "gauge", "", ({"type": "a"}, beyond))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_fires_once_when_it_has_held_and_clears_once(rule: AlertRule) -> None:
    judge = AlertJudge([rule])
    now, last = 0.0, quiet(rule)
    told: list[tuple[str, float]] = []
    assert judge.look([last], now) == []
    for step in range(1, 60):
        now += 5
        last = loud(rule, step)
        told += [(change.what, now) for change in judge.look([last], now)]
    fired = {what for what, _ in told}
    assert fired == {"fires"} and len(told) == 1, told
    assert told[0][1] >= rule.hold
    assert [alert.rule.name for alert in judge.firing] == [rule.name]
    if rule.how in ("above", "below"):
        last = quiet(rule)
    cleared = []
    for _ in range((rule.window + rule.hold) // 5 + 3):
        now += 5
        cleared += [change.what for change in judge.look([last], now)]
    assert cleared == ["cleared"] and not judge.firing
    assert [change.what for change in judge.history] == ["fires", "cleared"]


def test_what_does_not_hold_long_enough_calls_nobody() -> None:
    rule = of("server-away")
    judge = AlertJudge([rule])
    for now in range(0, 600, 5):
        found = loud(rule, 1) if now % 15 else quiet(rule)
        assert judge.look([found], now) == [], "ten seconds without a break"


def test_a_thousand_series_are_one_call_and_ten_names() -> None:
    rule = of("many-waiting")
    judge = AlertJudge([rule])
    calls = []
    for now in range(0, 180):
        n = min(1_000, now * 20)
        samples = [({"type": f"t{k}"}, 20_000.0 + k) for k in range(n)]
        calls += judge.look([family(rule.metric, "gauge", "", *samples)], float(now))
    assert [change.what for change in calls] == ["fires"], "a minute between words about more"
    assert calls[0].series == 1_000 and len(calls[0].labels) == 10
    assert calls[0].labels[0] == {"type": "t999"} and calls[0].value == 20_999.0, "the worst first"


def test_further_series_are_told_after_a_minute() -> None:
    rule = of("host-failed")
    judge = AlertJudge([rule])
    one = family(rule.metric, "gauge", "", ({"n": "1"}, 1))
    two = family(rule.metric, "gauge", "", ({"n": "1"}, 1), ({"n": "2"}, 1))
    told = list(judge.look([one], 0))
    for now in range(1, 70):
        told += judge.look([two], now)
    assert [change.what for change in told] == ["fires", "grows"]


def test_who_acknowledges_or_silences_keeps_others_from_being_called() -> None:
    rule = of("host-failed")
    judge = AlertJudge([rule])
    with pytest.raises(InvalidSettings, match="does not fire"):
        judge.acknowledge("host-failed", "ann", 0)
    judge.silence("host-failed", 30, "ann", 0)
    assert [change.muted for change in judge.look([loud(rule, 1)], 1)] == [True]
    judge.acknowledge("host-failed", "bob", 2)
    (cleared,) = judge.look([quiet(rule)], 40)
    assert cleared.muted and cleared.by == "bob", "whoever knows of it hears no end of it either"
    (again,) = judge.look([loud(rule, 1)], 50)
    assert not again.muted and not again.by, "it is another one"
    history = [change.what for change in judge.history]
    assert history == ["fires", "acknowledged", "cleared", "fires"]
    for bad in (-1, 90_000):
        with pytest.raises(InvalidSettings, match="seconds"):
            judge.silence("host-failed", bad, "ann", 0)
    with pytest.raises(InvalidSettings, match="no rule"):
        judge.silence("nothing", 1, "ann", 0)


def test_what_stood_before_the_first_look_is_no_increase_and_a_restart_is_none() -> None:
    rule = of("commands-parked")
    judge = AlertJudge([rule])

    def parked(n: float) -> Family:
        return family(rule.metric, "counter", "", ({"type": "a"}, n))

    assert judge.look([parked(500)], 0) == []
    assert judge.look([parked(500)], 5) == []
    assert judge.look([parked(0)], 10) == [], "it began anew, and nothing was parked since"
    (fired,) = judge.look([parked(1)], 15)
    assert fired.value == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"no-rule": {}},
        {"alarm": {"metric": "x"}},
        {"alarm": 3},
        3,
        {"alarm": {"threshold": "much"}},
        {"alarm": {"threshold": float("nan")}},
        {"alarm": {"window": 0}},
        {"alarm": {"hold": -1}},
        {"alarm": {"severity": "bad"}},
        {"server-away": {"window": 60}},
    ],
)
def test_wrong_settings_are_said(settings: object) -> None:
    with pytest.raises(InvalidSettings, match="alerts"):
        changed_rules(RULES, settings)  # type: ignore[arg-type]


def test_settings_change_what_they_name_and_nothing_else() -> None:
    rules = changed_rules(RULES, {"commands-wait": {"threshold": 5.0}, "alarm": {"off": True}})
    assert {rule.name: rule.threshold for rule in rules}["commands-wait"] == 5.0
    assert (
        "alarm" not in AlertJudge(rules).alerts and len(AlertJudge(rules).alerts) == len(RULES) - 1
    )
    assert "MoonletAlarm" not in rules_file(rules)
    assert [rule.name for rule in rules] == [rule.name for rule in RULES]


def test_the_files_name_every_rule_and_what_to_do() -> None:
    written = json.loads(rules_file(RULES))["groups"][0]["rules"]
    assert len(written) == len(RULES)
    for rule, found in zip(RULES, written, strict=True):
        assert found["annotations"]["description"] == rule.fix and rule.metric in found["expr"]
    page = (tree.ROOT / "docs/operations.md").read_text("utf-8")
    assert not [rule.name for rule in RULES if f"`{rule.name}`" not in page]


@pytest.mark.parametrize("changed", [{}, {"commands-wait": {"threshold": 5.0, "hold": 0}}])
def test_promtool_agrees_with_the_files(tmp_path: Path, changed: dict[str, object]) -> None:
    rules = changed_rules(RULES, changed)
    (tmp_path / "moonlet.rules.yml").write_text(rules_file(rules))
    (tmp_path / "tests.yml").write_text(rules_tests(rules, "moonlet.rules.yml"))
    assert len(json.loads((tmp_path / "tests.yml").read_text())["tests"]) == 2 * len(RULES)
    if PROMTOOL is None:  # it is Debian's `prometheus`, and not on every machine
        return
    for command in (["check", "rules", "moonlet.rules.yml"], ["test", "rules", "tests.yml"]):
        done = subprocess.run(
            [PROMTOOL, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_more_series_and_changes_than_are_kept_still_fire_and_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moonlet.telemetry.alerts.series.SERIES_MAX", 3)
    monkeypatch.setattr("moonlet.telemetry.alerts.judge.HISTORY_MAX", 4)
    rule = of("host-failed")
    judge = AlertJudge([rule])
    many = family(rule.metric, "gauge", "", *(({"n": str(n)}, 1) for n in range(9)))
    for turn in range(5):
        (fires,) = judge.look([many], turn * 100.0)
        assert (fires.what, fires.series) == ("fires", 3)
        (clears,) = judge.look([quiet(rule)], turn * 100.0 + 50)
        assert clears.what == "cleared"
    assert [change.what for change in judge.history] == ["fires", "cleared"] * 2
