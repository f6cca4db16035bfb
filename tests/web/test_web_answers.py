"""What the page is told: the same as the command line says, and the command that says it."""

import json
import shlex
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.console.support import run
from tests.web.support import CONTROL, MARKUP, Opened, here, opened_console

pytestmark = pytest.mark.xdist_group("web")


def told(command: str, folder: Path) -> list[dict[str, Any]]:
    """The JSON lines of a command that the page shows."""
    words = shlex.split(command)
    assert words[0] == "moonlet"
    json_option = [] if "--json" in words else ["--json"]
    ended = here(folder, *words[1:], *json_option)
    assert ended.code == 0, ended
    return ended.records


def test_agents_are_those_that_the_command_lists(console: Opened, shop: Path) -> None:
    found = console.api("agents")
    listed = {each["agent"]: each["commits"] for each in told(found["command"], shop)}
    shown = {each["agent"]: each["commits"] for each in found["agents"] if each["commits"]}
    assert shown == listed and set(shown) == {"till/main", "ledger/main"}
    assert [each["agent"] for each in console.api("agents", q="LEDG")["agents"]] == ["ledger/main"]


def test_a_history_is_the_commands(console: Opened, shop: Path) -> None:
    found = console.api("history", agent="till/main")
    lines = told(found["command"], shop)
    assert [row["revision"] for row in found["rows"]] == [each["revision"] for each in lines]
    outcomes = [row["outcome"] for row in found["rows"]]
    assert outcomes == [each["outcome"] for each in lines]
    assert outcomes.count("rejected") == 1 and outcomes.count("parked") == 1
    page = console.api("history", agent="till/main", count=2, **{"from": 3})
    assert [row["revision"] for row in page["rows"]] == [3, 4]
    assert console.api("history", agent="till/nobody")["rows"] == []


def test_a_state_is_the_commands_and_its_changes_are_marked(console: Opened, shop: Path) -> None:
    found = console.api("state", agent="till/main", revision=2)
    state = told(found["command"], shop)[0]
    assert found["digest"] == state["digest"]
    cash = next(line for line in found["lines"] if line["path"] == "$.cash")
    assert (cash["text"], cash["mark"], cash["before"]) == ("12", "~", "5")
    note = next(line for line in found["lines"] if line["path"] == "$.notes.plain")
    assert (note["mark"], note["depth"]) == ("+", 2)
    assert [each["path"] for each in found["changes"]] == ["$.cash", "$.notes.plain"]
    diff = told(found["diff"], shop)[0]["changes"]
    assert [each["path"] for each in diff] == ["$.cash", "$.notes.plain"]
    first = console.api("state", agent="till/main", revision=0)
    assert first["changes"] == [] and first["revision"] == 0


def test_why_a_field_has_its_value(console: Opened, shop: Path) -> None:
    found = console.api("why", agent="till/main", revision=3, path="$.cash")
    assert found["leaves"][0]["commit"]["revision"] == 2
    assert told(found["command"], shop)[0]["revision"] == 2


def test_where_a_condition_holds(console: Opened, shop: Path) -> None:
    found = console.api("column", agent="till/main", condition="state.cash > 6", **{"from": 0})
    assert found["holds"][:3] == [False, False, True]
    assert told(found["command"], shop)[0]["revision"] == 2
    back = console.api("stop", agent="till/main", revision=4, at="state.cash < 6", back=1)
    assert back["revision"] == 1
    to = console.api("stop", agent="till/main", revision=0, at="Sold")
    assert to["revision"] == 1
    changed = console.api("stop", agent="till/main", revision=2, path="$.cash")
    assert changed["revision"] == 4


def test_causes_go_both_ways(console: Opened, shop: Path) -> None:
    found = console.api("causes", point="ledger/main@2")
    assert [row["agent"] for row in found["commits"]] == ["till/main", "ledger/main"]
    assert [row["agent"] for row in found["why"]] == ["ledger/main", "till/main"]
    assert found["commits"][1]["cause"] == "till/main@2"
    assert [each["point"] for each in found["critical"]] == ["till/main@2", "ledger/main@2"]
    assert len(told(found["command"], shop)[0]["commits"]) == 2
    answered = console.request("/api/causes.svg?point=ledger/main@2")
    assert answered.status == 200 and answered.body.startswith("<svg")


def test_what_is_parked_has_its_cause_and_traceback(console: Opened, shop: Path) -> None:
    found = console.api("parked")
    assert len(found["parked"]) == 1
    assert "thirteen" in found["parked"][0]["cause"]
    assert "RuntimeError" in found["parked"][0]["traceback"]
    assert found["parked"][0]["retry"].startswith("moonlet parked retry ")
    assert len(told(found["command"], shop)) == 1


def test_overview_waiting_views_and_alerts_are_told(console: Opened) -> None:
    found = console.api("overview")
    assert found["live"] and len(found["hosts"]) == 1
    assert {part.partition("/")[0] for part in found["hosts"][0]["partitions"]} == {
        "till",
        "ledger",
    }
    assert found["waiting"]["parked"] == 1
    assert console.api("waiting")["agents"][0]["agent"] == "till/main"
    assert console.api("waiting", agent="till/main")["agent"]["parked"] == [1]
    assert console.api("views")["replicas"] == []
    assert any(rule["name"] == "server-away" for rule in console.api("alerts")["rules"])


def test_texts_come_as_they_are_and_large_numbers_are_not_rounded(console: Opened) -> None:
    rows = console.api("history", agent="till/main")["rows"]
    assert rows[2]["reason"] == f"no refunds {MARKUP}"
    found = console.api("state", agent="till/main", revision=5)
    labels = [line["label"] for line in found["lines"]]
    assert MARKUP in labels and CONTROL in labels
    whole = console.api("value", agent="till/main", revision=5, path="$.notes")
    assert json.loads(whole["text"])[MARKUP] == MARKUP


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("history", 400),
        ("history?agent=nonsense", 400),
        ("history?agent=till/main&from=0", 400),
        ("history?agent=till/main&count=501", 400),
        ("history?agent=till/main&count=-1", 400),
        ("state?agent=till/main&revision=99999", 400),
        ("state?agent=till/main&revision=%C2%B2", 400),
        ("state?agent=stranger/main&revision=0", 400),
        ("commit?agent=till/main&revision=99", 400),
        ("column?agent=till/main&from=0&condition=__import__('os')", 400),
        ("stop?agent=till/main&revision=0", 400),
        ("value?agent=till/main&revision=1&path=$.nothing", 400),
        ("why?agent=till/main&revision=1&path=" + "a" * 3_000, 400),
        ("causes?point=no-such-conversation", 400),
        ("view?view=none", 400),
        ("search?q=%22", 400),
        ("nowhere", 404),
    ],
)
def test_what_is_asked_wrongly_is_told_in_words(console: Opened, path: str, status: int) -> None:
    answered = console.request(f"/api/{urllib.parse.quote(path, safe='?=&%()')}")
    assert answered.status == status, answered.body
    if status == 400:
        assert json.loads(answered.body)["message"]
    assert "Traceback" not in answered.body


def test_a_bundle_is_shown_without_any_server(shop: Path, tmp_path: Path) -> None:
    made = run("bundle", "create", "--agents", "*", "-o", str(tmp_path / "b.moonlet"), folder=shop)
    assert made.code == 0, made
    (tmp_path / "shop.py").write_text((shop / "shop.py").read_text())
    with opened_console(tmp_path, "b.moonlet", "--module", "shop.py") as opened:
        opened.enter()
        assert not opened.api("overview")["live"]
        found = opened.api("state", agent="ledger/main", revision=2)
        assert told(found["command"], tmp_path)[0]["digest"] == found["digest"]
        assert opened.api("search", q="ledger")["hits"]
        assert opened.request("/api/parked").status == 400
