"""Declaring views: what is refused where, purity of fold code, which fields need a CRDT."""

from __future__ import annotations

import random
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pydantic
import pytest

from moonlet.agents import AgentType
from moonlet.core.schema import schema, upcast
from moonlet.projections import (
    At,
    AWSet,
    Fields,
    GSet,
    ImpureFold,
    InvalidView,
    LexCounter,
    Max,
    MVRegister,
    Observed,
    ORMap,
    PoisonedEvent,
    View,
    ViewState,
)
from moonlet.streams import Topology
from tests.projections.helpers import Opened, Raised, Rated, commit, journals


class Noted(msgspec.Struct, frozen=True):
    text: str


def view_of(**fields: Any) -> View:
    return View("v", version=1, **(fields or {"total": LexCounter}))


# -- fields ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "has no field"),
        ({"total": int}, "give one of AWSet"),
        ({"total": ORMap}, "ORMap\\[one of them\\]"),
        ({"total": ORMap[ORMap[LexCounter]]}, "join the keys of nested maps"),
        ({"_total": LexCounter}, "identifier without leading _"),
        ({"a-b": LexCounter}, "identifier without leading _"),
    ],
)
def test_a_wrong_field_is_refused_where_it_is_declared(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidView, match=says):
        View("v", version=1, **fields)


@pytest.mark.parametrize("version", [0, -1, "1", 2**31])
def test_versions_count_from_one(version: Any) -> None:
    with pytest.raises(InvalidView, match="count from 1"):
        View("v", version=version, total=LexCounter)


# -- handlers --------------------------------------------------------------------------------------


def test_handlers_are_refused_where_they_are_declared() -> None:
    view = view_of()
    with pytest.raises(InvalidView, match="write it as"):

        @view.on_event
        def two(fields: Fields, event: Raised) -> None: ...

    with pytest.raises(InvalidView, match="no annotation"):

        @view.on_event
        def bare(fields: Fields, event, at: At) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(InvalidView, match="no event class"):

        @view.on_event
        def number(fields: Fields, event: int, at: At) -> None: ...

    with pytest.raises(InvalidView, match="can't be resolved"):

        @view.on_event
        def unknown(fields: Fields, event: Nowhere, at: At) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidView, match="no async"):

        @view.on_event
        async def later(fields: Fields, event: Raised, at: At) -> None: ...

    @view.on_event
    def first(fields: Fields, event: Raised, at: At) -> None: ...

    with pytest.raises(InvalidView, match=r"handled by .*first already"):

        @view.on_event
        def second(fields: Fields, event: Raised, at: At) -> None: ...

    assert [handler.function for handler in view.handlers] == [first]


def test_a_union_local_classes_and_pydantic_models_are_handled() -> None:
    class Local(msgspec.Struct, frozen=True):
        x: int

    class Model(pydantic.BaseModel):
        x: int
        seen: Observed | None = None

    view = View("v", version=1, total=LexCounter, risk=MVRegister)

    @view.on_event
    def either(fields: Fields, event: Local | Noted, at: At) -> None:
        fields.total.add(1)

    @view.on_event
    def model(fields: Fields, event: Model, at: At) -> None:
        assert at.observed is not None
        fields.risk.set(event.x)

    state = ViewState(view, journals())
    _, token = state.read("risk")
    state.fold(commit(1, Local(5), Noted("x")), "eu")
    body = msgspec.to_builtins({"x": 3, "seen": token})
    event = msgspec.structs.replace(commit(2, Noted("x")).events[0], name="Model", body=body)
    state.fold(msgspec.structs.replace(commit(2), events=(event,)), "eu")
    assert state.value == {"risk": [3], "total": 2}
    assert Model(x=1, seen=token).model_dump()["seen"]["view"] == "v"


def test_old_bodies_are_upcast_and_a_missing_upcast_is_refused() -> None:
    @schema("Counted", version=2)
    class Counted(msgspec.Struct, frozen=True):
        amount: int

    view = view_of()
    with pytest.raises(InvalidView, match=r"no upcast from version 1"):

        @view.on_event
        def early(fields: Fields, event: Counted, at: At) -> None: ...

    @upcast("Counted", 1)
    def from_one(body: dict[str, Any]) -> dict[str, Any]:
        return {"amount": body["n"]}

    @view.on_event
    def counted(fields: Fields, event: Counted, at: At) -> None:
        fields.total.add(event.amount)

    state = ViewState(view, journals())
    old = msgspec.structs.replace(
        commit(1, Counted(0)).events[0], version=1, body=msgspec.Raw(b'{"n":4}')
    )
    state.fold(msgspec.structs.replace(commit(1), events=(old,)), "eu")
    state.fold(commit(2, Counted(3)), "eu")
    assert state.value["total"] == 7
    newer = msgspec.structs.replace(old, version=3)
    with pytest.raises(PoisonedEvent, match="run the newer code"):
        state.fold(msgspec.structs.replace(commit(3), events=(newer,)), "eu")


# -- sources ---------------------------------------------------------------------------------------


def agent_type(name: str, event: type) -> AgentType[Any]:
    class State(msgspec.Struct, frozen=True):
        n: int = 0

    agent = AgentType(name, State)

    def recorded(state: State, event: Any) -> State:
        return state

    recorded.__annotations__ = {"state": State, "event": event, "return": State}
    agent.on_event(recorded)
    return agent


def other_noted() -> type:
    @schema("Noted")
    class NotedElsewhere(msgspec.Struct, frozen=True):
        number: int

    return NotedElsewhere


def test_two_classes_under_one_name_need_a_source_each() -> None:
    elsewhere = other_noted()
    echo, sage = agent_type("echo", Noted), agent_type("sage", elsewhere)
    view = View("v", version=1, total=LexCounter, texts=GSet)

    @view.on_event
    def noted(fields: Fields, event: Noted, at: At) -> None:
        fields.texts.add(event.text)

    view.check([echo])
    with pytest.raises(InvalidView, match="echo, sage record different classes"):
        view.check([echo, sage])

    narrowed = View("v", version=1, total=LexCounter, texts=GSet)

    @narrowed.on_event(source=echo)
    def of_echo(fields: Fields, event: Noted, at: At) -> None:
        fields.texts.add(event.text)

    def of_sage(fields: Fields, event: Any, at: At) -> None:
        fields.total.add(event.number)

    of_sage.__annotations__["event"] = elsewhere
    narrowed.on_event(of_sage, source="sage")
    narrowed.check([echo, sage])

    state = ViewState(narrowed, journals())
    state.fold(commit(1, Noted("hi"), agent="echo/a"), "eu")
    number = msgspec.structs.replace(
        commit(1, Noted("x")).events[0], body=msgspec.Raw(b'{"number":3}')
    )
    state.fold(msgspec.structs.replace(commit(2, agent="sage/a"), events=(number,)), "eu")
    state.fold(commit(3, Noted("other"), agent="fuel/a"), "eu")
    assert state.value == {"texts": ["hi"], "total": 3}


def test_a_source_that_records_another_class_is_refused() -> None:
    view = View("v", version=1, texts=GSet)

    @view.on_event(source="sage")
    def noted(fields: Fields, event: Noted, at: At) -> None: ...

    with pytest.raises(InvalidView, match="records another class"):
        view.check([agent_type("sage", other_noted())])


# -- explain ---------------------------------------------------------------------------------------


def test_explain_says_where_an_ordered_fold_does_and_why_a_crdt_is_needed() -> None:
    view = View("v", version=1, texts=GSet, total=LexCounter, unused=AWSet)

    @view.on_event
    def noted(fields: Fields, event: Noted, at: At) -> None:
        fields.texts.add(event.text)

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        fields.total.add(1)

    agents = [agent_type("echo", Noted), agent_type("aegis", Raised), agent_type("fuel", Raised)]
    spread = Topology(journals={"risk": ["aegis", "echo"], "money": ["fuel"]})
    texts, total, unused = view.explain(spread, agents)
    assert (texts.needs_crdt, texts.journals) == (False, ("risk",))
    assert "ordered fold does" in texts.reason
    assert (total.needs_crdt, total.journals) == (True, ("money", "risk"))
    assert "every journal's additions must count once" in str(total)
    assert "no handler" in unused.reason
    assert not any(plan.needs_crdt for plan in view.explain(Topology(), agents))
    assert all(plan.needs_crdt for plan in view.explain(spread)[:2]), "unknown agents: any journal"


def test_a_handler_that_hands_its_view_on_may_write_to_any_field() -> None:
    view = View("v", version=1, texts=GSet, total=LexCounter)

    def helper(fields: Fields) -> None:
        fields.total.add(1)

    @view.on_event
    def noted(fields: Fields, event: Noted, at: At) -> None:
        helper(fields)

    spread = Topology(journals={"a": ["x"], "b": ["y"]})
    assert [plan.needs_crdt for plan in view.explain(spread)] == [True, True]


# -- purity ----------------------------------------------------------------------------------------

COUNT = 0
RATES = {"aave": 2}


def tick() -> float:
    return time.monotonic()


def by_time_module(fields: Fields, event: Raised, at: At) -> None:
    fields.total.add(int(time.time()))


def by_datetime(fields: Fields, event: Raised, at: At) -> None:
    fields.total.add(datetime.now(UTC).second)


def by_random(fields: Fields, event: Raised, at: At) -> None:
    fields.total.add(random.randint(1, 6))


def by_uuid(fields: Fields, event: Raised, at: At) -> None:
    fields.texts.add(str(uuid.uuid4()))


def by_hash(fields: Fields, event: Raised, at: At) -> None:
    fields.total.add(hash(event.alert))


def by_file(fields: Fields, event: Raised, at: At) -> None:
    with open(event.alert) as file:
        fields.texts.add(file.read())


def by_import(fields: Fields, event: Raised, at: At) -> None:
    import os

    fields.texts.add(os.getcwd())


def by_helper(fields: Fields, event: Raised, at: At) -> None:
    fields.total.add(int(tick()))


def by_comprehension(fields: Fields, event: Raised, at: At) -> None:
    fields.total.add(sum(random.random() > 1 for _ in range(3)))


def by_global(fields: Fields, event: Raised, at: At) -> None:
    global COUNT
    COUNT += 1
    fields.total.add(COUNT)


@pytest.mark.parametrize(
    "handler",
    [
        by_time_module,
        by_datetime,
        by_random,
        by_uuid,
        by_hash,
        by_file,
        by_import,
        by_helper,
        by_comprehension,
        by_global,
    ],
)
def test_fold_code_that_reads_more_than_its_event_is_refused(handler: Any) -> None:
    view = View("v", version=1, total=LexCounter, texts=GSet)
    with pytest.raises(ImpureFold):
        view.on_event(handler)
    assert view.handlers == ()


def test_a_closure_that_is_assigned_to_is_refused() -> None:
    count = 0
    view = view_of()

    def counting(fields: Fields, event: Raised, at: At) -> None:
        nonlocal count
        count += 1

    with pytest.raises(ImpureFold, match="assigns to 'count'"):
        view.on_event(counting)


def test_fold_code_may_use_constants_helpers_and_the_time_of_the_commit() -> None:
    view = View("v", version=1, total=LexCounter, texts=GSet, latest=Max)

    def weight(protocol: str) -> int:
        return RATES.get(protocol, 1)

    @view.on_event
    def opened(fields: Fields, event: Opened, at: At) -> None:
        time = at.time
        fields.latest.put(time.micros)
        fields.total.add(event.usd * weight(event.protocol))
        fields.texts.add(str(uuid.UUID(int=event.usd)))
        fields.texts.add(datetime.fromtimestamp(0, UTC).isoformat())
        for number in [n * 2 for n in range(2)]:
            fields.total.add(number)

    state = ViewState(view, journals())
    state.fold(commit(1, Opened("aave", 5), micros=9), "eu")
    assert state.value["latest"] == 9
    assert state.value["total"] == 12


READS: dict[str, Any] = {
    "value": lambda v: v.total.value,
    "bool": lambda v: bool(v.total),
    "compare": lambda v: v.total > 5,
    "in": lambda v: "x" in v.texts,
    "len": lambda v: len(v.texts),
    "iterate": lambda v: list(v.texts),
    "map": lambda v: v.by["x"].amount,
    "assign": lambda v: setattr(v, "total", 5),
    "assign a key": lambda v: v.by.__setitem__("x", 5),
}


@pytest.mark.parametrize("how", READS)
def test_fold_code_that_reads_its_view_poisons(how: str) -> None:
    view = View("v", version=1, total=LexCounter, texts=GSet, by=ORMap[LexCounter])
    read = READS[how]

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        read(fields)

    with pytest.raises(PoisonedEvent) as error:
        ViewState(view, journals()).fold(commit(1, Raised("a")), "eu")
    assert isinstance(error.value.__cause__, ImpureFold)


def test_a_field_that_is_not_there_and_a_removal_that_cannot_be_say_so() -> None:
    view = View("v", version=1, peaks=ORMap[Max])

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        fields.total.add(1)

    @view.on_event
    def rated(fields: Fields, event: Rated, at: At) -> None:
        fields.peaks.remove("x")

    state = ViewState(view, journals())
    with pytest.raises(PoisonedEvent, match="no field 'total'; it has peaks"):
        state.fold(commit(1, Raised("a")), "eu")
    with pytest.raises(PoisonedEvent, match="Max only grows"):
        state.fold(commit(1, Rated("a")), "eu")
