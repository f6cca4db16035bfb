"""What if a constant of the code had been another: it has its value in the fork, and only there."""

import importlib
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import Insert, Point, Recording, cause_of, cohort, conversations, fork
from moonlet.replay.forks.fork_run import ForkRun
from moonlet.replay.forks.recording import Recorded
from moonlet.replay.forks.settings import set_to
from tests.console.support import invoke

LIMITS = """
from datetime import timedelta
from decimal import Decimal

LIMIT = 10_000
SHARE = Decimal("0.5")
NAMES = ("a", "b")
WAIT = timedelta(seconds=2)


def helper():
    return LIMIT
"""

TILL = """
import msgspec
from moonlet.agents import AgentType, Decision, Rejected, Reply
from {name} import LIMIT as MOST
from {name} import NAMES, SHARE, WAIT, helper

OTHER = 10_000


class Pay(msgspec.Struct, frozen=True):
    amount: int


class Paid(msgspec.Struct, frozen=True):
    amount: int


class Till(msgspec.Struct, frozen=True):
    total: int = 0


till = AgentType("till", Till)


@till.on_command
def pay(state: Till, command: Pay) -> Decision:
    if command.amount > MOST:
        raise Rejected(f"over {{MOST}}")
    yield Paid(command.amount)
    yield Reply([MOST, helper(), OTHER, str(SHARE), list(NAMES), WAIT.total_seconds()])


@till.on_event
def paid(state: Till, event: Paid) -> Till:
    return Till(state.total + (event.amount if event.amount < MOST else MOST))
"""


@pytest.fixture
def till(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A till, whose limits stand in a module of their own."""
    (tmp_path / "limits_of_it.py").write_text(LIMITS)
    (tmp_path / "till_of_it.py").write_text(TILL.format(name="limits_of_it"))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("till_of_it")
    for name in ("limits_of_it", "till_of_it"):
        sys.modules.pop(name, None)


def record_of(till: ModuleType, *amounts: int) -> Recording:
    inserts = tuple(
        Insert("till/t", "Pay", {"amount": amount}, 1_000_000 * at)
        for at, amount in enumerate(amounts, 1)
    )
    run = ForkRun(Recording("made", [], {}, {}), {"till": till.till}, 0, inserts, None)
    run.run()
    commits = [Recorded(c, encoding, "made", cause_of(c)) for c, encoding in run.made]
    by_agent = {"till/t": commits}
    return Recording("made", commits, by_agent, {each.name: each for each in commits})


def test_a_constant_is_another_from_the_fork_on_wherever_it_was_imported(till: ModuleType) -> None:
    record = record_of(till, 5, 70, 8)
    types = {"till": till.till}
    made = fork(record, types, settings={"limits_of_it:LIMIT": 60})
    (came,) = made.agents
    assert came.first is not None and came.first.reply[:3] == [60, 60, 10_000]
    assert [commit.outcome for commit in made.commits] == ["accepted", "rejected", "accepted"]
    assert made.states["till/t"] == {"total": 13}
    behind = fork(
        record,
        types,
        at=Point(AgentId("till", "t"), 3),
        settings={"limits_of_it:LIMIT": 60},
    )
    assert behind.states["till/t"] == {"total": 83}, "what was before it is as it was"
    assert (till.MOST, till.helper()) == (10_000, 10_000)
    told = cohort(record, types, conversations(record), settings={"limits_of_it:LIMIT": 60})
    assert [each.outcome for each in told.conversations][1] == ("accepted", "rejected")
    assert fork(record, types, settings={"limits_of_it:LIMIT": 10_000}).agents == []


def test_plain_data_becomes_what_the_constant_is(till: ModuleType) -> None:
    with set_to(
        {
            "limits_of_it:SHARE": "0.25",
            "limits_of_it:NAMES": ["x"],
            "limits_of_it:WAIT": "PT5S",
            "limits_of_it:LIMIT": 1,
        }
    ):
        assert (till.SHARE, till.NAMES, till.WAIT.total_seconds(), till.MOST) == (
            Decimal("0.25"), ("x",), 5, 1,
        )  # fmt: skip
    assert (till.SHARE, till.NAMES) == (Decimal("0.5"), ("a", "b"))


def test_what_can_t_be_set_is_refused_and_nothing_is_changed(till: ModuleType) -> None:
    record = record_of(till, 5)
    wrong: list[tuple[str, Any, str]] = [
        ("limits_of_it", 1, "write MODULE:NAME"),
        ("limits_of_it:a.b", 1, "write MODULE:NAME"),
        ("nowhere_at_all:LIMIT", 1, "No module named"),
        ("limits_of_it:MOST", 1, "limits_of_it has no MOST; it has LIMIT, NAMES, SHARE, WAIT"),
        ("limits_of_it:helper", 1, "is code"),
        ("limits_of_it:LIMIT", "many", "can't be 'many'"),
        ("limits_of_it:LIMIT", None, "can't be None"),
    ]
    for place, value, said in wrong:
        with pytest.raises(Invalid, match=said):
            fork(record, {"till": till.till}, settings={"limits_of_it:SHARE": "1", place: value})
        assert till.MOST == 10_000 and till.SHARE == Decimal("0.5")


def test_the_command_sets_constants(shop_file: Path) -> None:
    rest = ("--bundle", str(shop_file), "--module", "tests.replay.shop")
    place = "tests.replay.shop:PATIENCE"
    ended = invoke("fork", "--set", f'{place}="PT0.5S"', *rest)
    assert ended.code == 0 and "none of this happened" in ended.out
    compared = invoke("cohort", "--set", f'{place}="PT0.5S"', *rest)
    assert compared.code == 0, compared.err
    for text, said in (
        (place, "write it like"),
        (f"{place}=PT5S", "a text needs quotes"),
        (f"{place}=[]", "can't be"),
        ("tests.replay.shop:NONE=1", "has no NONE; it has PATIENCE, TYPES"),
    ):
        refused = invoke("fork", "--set", text, *rest)
        assert refused.code == 2 and said in refused.err, (text, refused.err)
