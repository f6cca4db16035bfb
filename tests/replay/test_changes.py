"""What changed: between states, along a history, by whose command, since when."""

import copy
from typing import Any

import jsonpatch
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.agents import AgentType, Decision, Host, connect
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import (
    NOTHING,
    BundleSource,
    Change,
    Condition,
    ServerSource,
    Timeline,
    bisect,
    blame,
    changes,
    inside,
    json_patch,
    parse_path,
    walk,
)
from moonlet.replay.changes import Names
from moonlet.replay.changes.paths import show
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.replay.shop import order, stock

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
TEA = AgentId("stock", "tea")


def applied(before: Any, found: list[Change]) -> Any:
    """`before` with the changes, told in the order in which they can be carried out."""
    root = {"$": copy.deepcopy(before)}
    removed = [each for each in found if each.kind == "removed"]
    for each in [*(c for c in found if c.kind != "removed"), *reversed(removed)]:
        path = ("$", *parse_path(each.path))
        held: Any = inside(root, path[:-1])
        assert held is not NOTHING
        if each.kind == "removed":
            del held[path[-1]]
        elif each.kind == "added" and isinstance(held, list):
            held.insert(int(path[-1]), each.new)
        else:
            held[path[-1]] = each.new
    return root["$"]


@given(PLAIN, PLAIN)
def test_the_changes_make_the_one_of_the_other(before: Any, after: Any) -> None:
    found = changes(before, after)
    assert changes(before, copy.deepcopy(before)) == []
    assert changes(applied(before, found), after) == []
    for each in found:
        assert str(each)


@given(PLAIN, PLAIN)
def test_a_patch_makes_the_one_of_the_other(before: Any, after: Any) -> None:
    assert jsonpatch.apply_patch(before, json_patch(before, after)) == after


@given(st.lists(st.text(max_size=8) | st.integers(0, 99), max_size=5))
def test_a_path_is_read_back_as_it_is_shown(parts: list[str | int]) -> None:
    assert parse_path(show(tuple(parts))) == tuple(parts)


def test_paths_as_people_write_them() -> None:
    assert parse_path("positions.BTC[0].amount") == ("positions", "BTC", 0, "amount")
    assert parse_path("$") == () and parse_path('["a b"].c') == ("a b", "c")
    for wrong in ("a..b", "a[", "[x]", "a b", "x" * 2_000, "$$"):
        with pytest.raises(Invalid, match="is no path in a state"):
            parse_path(wrong)


def test_one_item_put_in_is_one_change() -> None:
    before, after = [{"n": n} for n in (1, 2, 3)], [{"n": n} for n in (1, 9, 2, 3)]
    assert changes(before, after) == [Change("$[1]", "added", None, {"n": 9})]
    assert changes(after, before) == [Change("$[1]", "removed", {"n": 9}, None)]
    assert changes({"a": 1}, {"a": 1.0}) == [Change("$.a", "changed", 1, 1.0)]
    assert changes(float("nan"), float("nan")) == []


async def test_the_walk_and_the_blame_agree(shop: BundleSource) -> None:
    agent = AgentId("order", "a")
    last: dict[str, int] = {}
    timeline = await Timeline.open(shop, order, agent)
    async for step in walk(timeline):
        for change in changes(step.before, step.after):
            last[change.path] = step.commit.revision
    told = {each.path: each for each in await blame(timeline)}
    assert told["$.item"].commit is not None and told["$.item"].commit.revision == last["$.item"]
    status = told["$.status"]
    assert status.value == "paid" and status.commit is not None
    assert (status.commit.revision, status.commit.command.name) == (3, "Charged")
    steps = await blame(timeline, "steps")
    assert [(each.value, each.commit and each.commit.revision) for each in steps] == [
        ("reserved", 2), ("paid", 3),
    ]  # fmt: skip
    (then,) = await blame(timeline, "status", revision=1)
    assert then.value == "placed" and then.commit is not None and then.commit.revision == 1
    first = await blame(timeline, "status", revision=0)
    assert [(each.value, each.commit) for each in first] == [("new", None)]
    with pytest.raises(Invalid, match=r"order/a has no \$\.nothing and never had one; its state"):
        await blame(timeline, "nothing")
    with pytest.raises(Invalid, match=r"order/a has no \$\.steps\[0\] and never"):
        await blame(timeline, "steps[0]", revision=1)


async def test_bisect_finds_the_first_revision_and_says_if_it_did_not_stay_so(
    shop: BundleSource,
) -> None:
    timeline = await Timeline.open(shop, stock, TEA)
    free = [(await timeline.at(n)).state.free for n in range(timeline.last + 1)]
    assert free[:3] == [0, 5, 3]
    found = await bisect(timeline, Condition("state.free > 0"))
    assert (found.first, found.again) == (1, None)
    found = await bisect(timeline, Condition("state.free == 5"))
    assert (found.first, found.again) == (1, 2)
    found = await bisect(timeline, Condition("state.free == 3"))
    assert found.first == 2
    assert (await bisect(timeline, Condition("state.free > 100"))).first is None
    assert (await bisect(timeline, Condition("revision >= 0"))).first == 0
    found = await bisect(timeline, Condition("outcome == 'rejected' and command.name == 'Refill'"))
    assert found.first == timeline.last
    with pytest.raises(Invalid, match=r"what 'state.nothing < 1' names is in no state of"):
        await bisect(timeline, Condition("state.nothing < 1"))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("state.a == 1 and not state.b", True),
        ("state.list[0] + 1 == 3 and state.list[-1] == 5", True),
        ("len(state.list) == 2 and max(state.list) in state.list", True),
        ("state['a'] < 2 <= 3", True),
        ("state.gone < 1 or state.gone > 1", False),
        ("state.none < 1", False),
        ("command.name == 'Go' and events[0].name == 'Went'", True),
        ("-state.a == -1 and 7 // 2 == 3 and 'x' + 'y' == 'xy'", True),
        ("any([state.b, state.a])", True),
        ("len(state.gone) == 0", False),
        ("any(e.name == 'Went' for e in events)", True),
        ("sum(x for x in state.list if x > 2) == 5", True),
        ("all(any(x == y for y in state.list) for x in state.list)", True),
        ("any(x.y for x in state.list) or len(state) == 4", True),
        ("any(x for x in state.gone)", False),
    ],
)
def test_a_condition_is_judged(text: str, holds: bool) -> None:
    names = Names(
        state={"a": 1, "b": False, "list": [2, 5], "none": None},
        revision=3,
        command={"name": "Go", "body": {}},
        events=[{"name": "Went", "body": {}}],
    )
    assert Condition(text).judge(names).holds is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "state.__class__()",
        "__import__('os')",
        "open('x')",
        "(lambda: 1)()",
        "[x for x in state]",
        "state.a := 1",
        "f'{state}'",
        "x < 1",
        "1 if state else 2",
        "2 ** 9 ** 9",
        "state.a." * 400 + "b",
        "(" * 300 + "1" + ")" * 300,
        "not " * 100 + "1",
        "b'x' == 1",
        f"{'9' * 500} > 1",
        "len(state, key=1)",
        "state[1:2]",
        "'x' * 100000000",
        "1 / 0",
        "[x async for x in state]",
        "any(state for state in events)",
        "any(x for x in x)",
        "any(x for x in 3)",
        "any(a for a, b in events)",
        "any(x for x in events for y in events)",
        "sum(['a'])",
    ],
)
def test_a_hostile_condition_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid, match=r"a condition has|can't be judged"):
        Condition(text).judge(Names(state={"a": 1}, revision=1))


def test_a_condition_that_takes_long_is_stopped() -> None:
    text = "sum(sum(sum(1 for z in state.n) for y in state.n) for x in state.n) > 0"
    with pytest.raises(Invalid, match="it takes more than 10,000 steps"):
        Condition(text).judge(Names(state={"n": list(range(100))}, revision=1))


def test_a_condition_that_grows_is_stopped() -> None:
    square = "*".join(["state.n"] * 20)
    with pytest.raises(Invalid, match="a number gets too large"):
        Condition(square).judge(Names(state={"n": 10**9}, revision=1))
    with pytest.raises(Invalid, match="more than 1,000,000"):
        Condition("state.t + state.t").judge(Names(state={"t": "x" * 600_000}, revision=1))


class Put(msgspec.Struct, frozen=True):
    key: str
    x: int


class Was(msgspec.Struct, frozen=True):
    key: str
    x: int


class Boxes(msgspec.Struct, frozen=True):
    boxes: dict[str, dict[str, int]] = {}


async def test_of_a_field_and_what_it_stands_in_the_newest_change_is_blamed(
    shared_server: ServerProcess, name: str
) -> None:
    boxes = AgentType("boxes", Boxes)

    @boxes.on_command
    def put(state: Boxes, command: Put) -> Decision:
        yield Was(command.key, command.x)

    @boxes.on_event
    def was(state: Boxes, event: Was) -> Boxes:
        old = state.boxes.get(event.key, {"y": 0})
        new = {key: each for key, each in state.boxes.items() if event.x or key != event.key}
        return Boxes({**new, event.key: {**old, "x": event.x}} if event.x else new)

    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [boxes]):
            for key, x in (("a", 1), ("a", 2), ("b", 1), ("b", 0), ("b", 3)):
                await moon.ask("boxes/m", Put(key, x))
        source = ServerSource(moon.bus)
        told = await blame(await Timeline.open(source, boxes, AgentId("boxes", "m")))
    assert {each.path: each.commit and each.commit.revision for each in told} == {
        "$.boxes.a.y": 1, "$.boxes.a.x": 2, "$.boxes.b.y": 5, "$.boxes.b.x": 5,
    }  # fmt: skip
