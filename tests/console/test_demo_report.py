"""The demo's report in words: a loss and a double are shown, and end it with another exit code."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from moonlet.console.demo.hosts import Kill
from moonlet.console.demo.report import Told
from moonlet.console.demo.views import Closed, Night, ViewShown
from moonlet.satellites.night import Drive, depeg, drive, report
from tests.satellites.bus import Bus


@pytest.fixture(scope="module")
def night() -> Drive:
    return asyncio.run(drive(Bus(), depeg(), speed=1_000.0))


VIEWS = Night(
    cut_tick=10,
    mended_tick=47,
    behind=1_234,
    closed=[Closed("ann", "aegis/main", 172, "aegis/main 2")],
    views=[
        ViewShown(
            "exposure",
            1,
            {"moon-journal-risk": 7, "moon-journal-money": 5},
            "ab" * 16,
            "ab" * 16,
            {"by_place": {"aave": 2_500_000, "curve": 0}, "sold": {}, "total": 2_500_000},
        ),
        ViewShown(
            "alerts",
            1,
            {"moon-journal-risk": 7},
            "cd" * 16,
            "cd" * 16,
            {
                "open": ["aegis/main 3", "aegis/main 4"],
                "about": {"aegis/main 3": "critical: liquidation_risk of p01"},
                "acknowledged": {"aegis/main 1": ["ann"], "aegis/main 2": ["bob", "ann"]},
            },
        ),
        ViewShown(
            "risk",
            1,
            {"moon-journal-risk": 7},
            "ef" * 16,
            "ef" * 16,
            {
                "by_protocol": {
                    "aave": [{"by": "pulse/main", "risk": "low"}] * 2,
                    "curve": [
                        {"by": "pulse/main", "risk": "high"},
                        {"by": "sage/main", "risk": "critical"},
                    ],
                }
            },
        ),
    ],
)


def told(night: Drive, *, kills: tuple[Kill, ...] = (), folder: Path = Path()) -> Told:
    return Told(report(night.commits, night.sent), night, kills, VIEWS, folder)


def test_a_clean_night_says_so_in_words_and_as_a_record(night: Drive) -> None:
    clean = told(night)
    assert clean.is_clean
    text = clean.text()
    for words in ("0 lost", "0 doubled", "0 from nowhere", "balance $0.00", "median", "synthetic"):
        assert words in text
    record = clean.record()
    assert (record["clean"], record["kills"]) == (True, [])
    trade = record["trades"][0]["executed_by"].replace(" ", "@")
    assert record["look_further"] == [
        "moonlet history aegis/main", "moonlet state fuel/main", "moonlet verify",
        f"moonlet why {trade}",
    ]  # fmt: skip
    assert sorted(record["satellites"]) == [
        "aegis/main", "bridge/main", "echo/main", "forge/main", "fuel/main", "oracle/main",
        "pulse/main", "sage/main",
    ]  # fmt: skip
    for agent, done in record["satellites"].items():
        assert done["commits"] == len(night.commits[agent]) > 0
        assert f"  {agent} " in text
    assert msgspec.json.decode(msgspec.json.encode(record))["told"] == len(night.sent)


def test_a_planted_loss_and_a_planted_double_are_both_shown(night: Drive) -> None:
    commits = {agent: list(found) for agent, found in night.commits.items()}
    commits["oracle/main"] = [
        commit for commit in commits["oracle/main"] if commit.command.id != "main-tick-7"
    ]
    tick = next(c for c in night.commits["oracle/main"] if c.command.id == "main-tick-9")
    commits["oracle/main"].append(tick)
    damaged = told(Drive(night.sent, commits, night.first_tick, night.ticks))
    assert not damaged.is_clean
    text = damaged.text()
    assert "1 lost" in text and "1 doubled" in text
    assert "ValidateOracleFeed from driver to oracle/main: 0 commits (id main-tick-7)" in text
    assert "ValidateOracleFeed from driver to oracle/main: 2 commits (id main-tick-9)" in text
    audit = damaged.record()["audit"]
    assert [fault["id"] for fault in audit["lost"]] == ["main-tick-7"]
    assert [fault["id"] for fault in audit["doubled"]] == ["main-tick-9"]


def test_books_that_do_not_balance_are_not_clean(night: Drive) -> None:
    found = report(night.commits, night.sent)
    ledger = msgspec.structs.replace(found.ledger, unbalanced=1)
    wrong = Told(msgspec.structs.replace(found, ledger=ledger), night, (), VIEWS, Path())
    assert not wrong.is_clean
    assert "1 entries do not balance" in wrong.text()


def test_views_are_told_with_what_was_closed_apart_and_where_opinions_differ(night: Drive) -> None:
    text = told(night).text()
    for words in (
        "View exposure: $2.50 at stake",
        "View alerts: 2 open",
        "aegis/main 3  critical: liquidation_risk of p01",
        "ann acknowledged aegis/main 2 at aegis/main (revision 172)",
        "aegis/main 2 was acknowledged by bob and ann, apart",
        "View risk: 2 protocols, 1 conflict between opinions",
        "pulse/main: high, sage/main: critical",
        "far was cut off from tick 10 to tick 47, and came back 1,234 commits behind",
        "risk 7, money 5",
    ):
        assert words in text, text
    assert "aegis/main 1 was acknowledged" not in text and "DIFFERENT" not in text
    assert told(night).record()["views"]["equal"]


def test_replicas_that_differ_are_not_clean(night: Drive) -> None:
    first, *others = VIEWS.views
    differing = [msgspec.structs.replace(first, far="00" * 16), *others]
    views = msgspec.structs.replace(VIEWS, views=differing)
    wrong = Told(report(night.commits, night.sent), night, (), views, Path())
    assert not wrong.is_clean
    assert "DIFFERENT" in wrong.text()


def test_a_kill_is_told_with_the_time_until_work_went_on(night: Drive, tmp_path: Path) -> None:
    times = sorted(c.time.micros for found in night.commits.values() for c in found)
    kill = Kill(pid=4711, time=times[5] - 2_500, tick=3, in_flight=1)
    killed = told(night, kills=(kill,), folder=tmp_path)
    assert killed.record()["kills"][0]["resumed_ms"] == min(
        (time - kill.time) / 1_000 for time in times if time > kill.time
    )
    text = killed.text()
    assert "(process 4711) was killed with SIGKILL after tick 3, 1 command in flight" in text
    assert f"moonlet verify --data {tmp_path}" in text


def test_a_kill_after_which_nothing_went_on_is_told_too(night: Drive) -> None:
    kill = Kill(pid=1, time=10**18, tick=66, in_flight=2)
    assert "nothing was committed after that" in told(night, kills=(kill,)).text()


def test_the_commands_name_the_folder_where_they_would_go_elsewhere(
    night: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLET_NATS_URL", "nats://127.0.0.1:1")
    assert told(night).commands()[0] == "moonlet history aegis/main --data ."
    spaced = told(night, folder=Path("two words")).commands()
    assert spaced[2] == "moonlet verify --data 'two words'"


def test_long_lists_are_cut_and_say_so(night: Drive) -> None:
    found = report(night.commits, night.sent)
    many = msgspec.structs.replace(found, refusals=found.refusals * 20, trades=found.trades * 20)
    text = Told(many, night, (), VIEWS, Path()).text()
    assert f"… and {len(many.trades) - 12} more: see them all with --json" in text
    assert f"… and {len(many.refusals) - 8} more: see them all with --json" in text
