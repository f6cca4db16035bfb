"""`given(…).at(history, point)`: a test of a handler begins where a recorded history was."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from moonlet.agents import AgentType, Cancel, Decision, Perform, Reply, Send
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource, commits_of
from moonlet.testing import given
from tests.replay.shop import (
    Charge,
    Charged,
    Deliver,
    Moved,
    Order,
    Place,
    Reserved,
    Stock,
    order,
    stock,
)


async def test_each_recorded_command_decided_at_its_point_comes_out_as_it_did(
    shop: BundleSource,
) -> None:
    seen = 0
    cases: tuple[tuple[AgentType[Any], str], ...] = (
        (order, "a"),
        (order, "b"),
        (order, "c"),
        (stock, "tea"),
    )
    for agent_type, key in cases:
        agent = f"{agent_type.name}/{key}"
        async for commit in commits_of(shop, AgentId.parse(agent)):
            handler = agent_type.behavior.commands[commit.command.name]
            base = given(agent_type).at(shop, agent, commit.revision - 1)
            outcome = base.when(
                handler.message.convert(commit.command.body, commit.command.version),
                sender=commit.command.sender,
                now=datetime.fromtimestamp(commit.wall_us / 1e6, UTC),
            )
            assert (outcome.outcome, outcome.reason) == (commit.outcome, commit.reason)
            names = [type(event).__name__ for event in outcome.events]
            assert names == [event.name for event in commit.events]
            kinds = [type(effect).__name__.lower() for effect in outcome.effects]
            assert kinds == [effect.kind for effect in commit.effects]
            assert outcome.reply == commit.reply
            seen += 1
    assert seen > 10


def test_a_file_is_read_where_it_is_named_with_any_name_of_a_point(shop_file: Path) -> None:
    paid = given(order).at(shop_file, "order/a@1").when(Reserved("tea", 2))
    paid.then(events=[Moved("reserved")], effects=[Perform(Charge("blue", 20))])
    assert paid.effects == [Perform(Charge("blue", 20))]
    end = given(order).at(str(shop_file), "order/a").when(Charged("late"))
    assert end.state.receipt == "late"
    assert end.effects == [Cancel("payment"), Send("stock/tea", Deliver(2))]
    first = given(stock).at(shop_file, "stock/tea@0")
    assert first.when(Deliver(1)).state == Stock(0, -1)


def test_agent_revision_and_time_are_those_of_the_point(shop: BundleSource) -> None:
    told: list[Any] = []

    def place(state: Order, command: Place, context: Any) -> Decision:
        told.append((context.self_id, context.revision, context.now))
        yield Reply(None)

    kept = order.behavior.commands["Place"]
    order.behavior.commands["Place"] = type(kept)(kept.message, place, True)
    try:
        given(order).at(shop, "order/a@2").when(Place("tea", 1, "blue"))
        given(order).at(shop, "order/a@0").when(Place("tea", 1, "blue"), agent="order/z")
        given(order).at(shop, "order/a@2").events(Moved("x")).when(Place("tea", 1, "blue"))
    finally:
        order.behavior.commands["Place"] = kept
    (agent, revision, now), initial, later = told[0], told[4], told[8]
    assert (agent, revision) == ("order/a", 2)
    assert abs((now - datetime.fromtimestamp(shop.now_us() / 1e6, UTC)).total_seconds()) < 3_600
    assert initial == ("order/z", 0, datetime(2026, 1, 1, tzinfo=UTC))
    assert later == ("order/a", 3, now)


def test_what_is_not_there_is_refused_in_words(shop: BundleSource, tmp_path: Path) -> None:
    for point, match in (
        ("order/nobody@1", "has no revision 1: it has no commits"),
        ("order/a@99", "has no revision 99: its last is"),
        ("stock/tea@1", "is of agent type stock, not of order"),
        ("order/a@two", "order/a@two"),
    ):
        with pytest.raises(Invalid, match=match):
            given(order).at(shop, point)
    with pytest.raises(Invalid, match=r"gone\.moonlet"):
        given(order).at(tmp_path / "gone.moonlet", "order/a@1")
