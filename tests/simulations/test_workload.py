"""Workloads: commands of the agents' own classes, from the seed; and plans for Hypothesis."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from moonlet.core.errors import InvalidSettings
from moonlet.simulations import World, fault_plans, faults, simulate
from moonlet.simulations.faults import HOSTS, SERVER, WIRE, Fault
from moonlet.simulations.reference import Receive, Transfer, reference
from moonlet.simulations.scenario import Run
from moonlet.simulations.search import SimulationFailed
from moonlet.simulations.seed import Dice
from moonlet.simulations.workload import draw
from tests.agents.accounts import Deposit
from tests.simulations.small import counter, hasty
from tests.simulations.worlds import passes


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(msgspec.Struct, frozen=True, tag="leaf"):
    weight: float


class Branch(msgspec.Struct, frozen=True, tag="branch"):
    parts: list[Leaf | Branch]


class Everything(msgspec.Struct, frozen=True):
    """A field of each kind."""

    amount: Annotated[int, msgspec.Meta(ge=5, lt=9)]
    dozen: Annotated[int, msgspec.Meta(multiple_of=12)]
    share: float
    name: Annotated[str, msgspec.Meta(min_length=2, max_length=4)]
    side: Literal["buy", "sell"]
    colour: Colour
    price: Decimal
    when: datetime
    wait: timedelta
    key: UUID
    data: bytes
    tree: Leaf | Branch
    tags: frozenset[str]
    pair: tuple[int, str]
    notes: dict[str, int]
    rest: Any
    maybe: int | None = None


def test_a_value_of_every_kind_of_field_is_drawn_and_stored() -> None:
    drawn = [draw(Everything, Dice(f"{n}"), {}) for n in range(300)]
    for value in drawn:
        assert msgspec.json.decode(msgspec.json.encode(value), type=Everything) is not None
        assert 5 <= value.amount < 9 and value.dozen % 12 == 0 and 2 <= len(value.name) <= 4
    assert {value.amount for value in drawn} == {5, 6, 7, 8}
    assert {value.side for value in drawn} == {"buy", "sell"}
    assert {value.colour for value in drawn} == set(Colour)
    assert {type(value.tree) for value in drawn} == {Leaf, Branch}
    assert any(value.maybe is None for value in drawn)
    assert drawn == [draw(Everything, Dice(f"{n}"), {}) for n in range(300)]


class Ruled(msgspec.Struct, frozen=True):
    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]:[a-z]{2}$")]


def test_what_nothing_can_be_drawn_for_is_said_with_the_way_out() -> None:
    with pytest.raises(InvalidSettings, match=r"Ruled.code follows the pattern.*fields=\{'code'"):
        draw(Ruled, Dice("1"), {})
    assert draw(Ruled, Dice("1"), {"code": lambda dice: "A:bc"}) == Ruled("A:bc")


class Row(msgspec.Struct, frozen=True, array_like=True):
    name: str
    notes: list[int] = []
    more: dict[str, int] = {}


def test_rows_are_drawn_whole() -> None:
    assert {type(draw(Row, Dice(f"{n}"), {})) for n in range(50)} == {Row}


class Named(msgspec.Struct, frozen=True):
    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,128}$")]
    digits: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]


def test_words_that_follow_usual_patterns_are_found() -> None:
    drawn = [draw(Named, Dice(f"{n}"), {}) for n in range(20)]
    assert all(value.digits.isdigit() and value.id for value in drawn)
    assert len({value.id for value in drawn}) > 10


def test_commands_are_drawn_for_agents_that_take_them() -> None:
    async def body(world: World) -> None:
        drawn = list(world.workload.commands(200, fields={"to": ["account/a1"]}))
        classes = {type(command).__name__ for _, command in drawn}
        assert {"Deposit", "Transfer", "Fill"} <= classes
        assert {agent for agent, _ in drawn} == set(world.workload.ids())
        assert all(c.to == "account/a1" for _, c in drawn if type(c).__name__ == "Transfer")
        only = list(world.workload.commands(9, only=[Deposit], agents=["account/x"]))
        assert {(agent, type(c)) for agent, c in only} == {("account/x", Deposit)}
        made = world.workload.commands(1, only=[Deposit], make={Deposit: lambda _: Deposit(7)})
        assert [command for _, command in made] == [Deposit(7)]
        assert all(a != b for a, b in world.workload.pairs(50))
        assert world.workload.count == 200 + 9 + 1 + 50
        with pytest.raises(InvalidSettings, match="none of the agents takes"):
            list(world.workload.commands(1, only=[Ruled]))
        with pytest.raises(InvalidSettings, match="no agents of the type shop"):
            list(world.workload.commands(1, agents=["shop/a"]))
        with pytest.raises(InvalidSettings, match="two agents at least"):
            list(world.workload.pairs(1, agents=["account/a"]))

    passes(body)


@simulate(seeds=10, hosts=2, agents=[reference.agents[0]], horizon="5s")
async def test_any_commands_leave_the_promises_whole(world: World) -> None:
    async with world.client() as moon:
        ids = world.workload.ids()
        await world.workload.run(
            moon, 15, only=[Transfer, Receive], fields={"to": ids}, between="300ms"
        )
    await world.settle()


def test_a_failure_is_shrunk_to_few_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    @simulate(agents=[counter], hosts=1, seeds=60, faults=faults.only("crash"), horizon="8s")
    async def hurried(world: World) -> None:
        """Claims that no host is down when it has told its commands."""
        async with world.client() as moon:
            for agent, command in world.workload.commands(12):
                await moon.tell(agent, command)
                await world.advance("300ms")
        assert all(process.node.up for process in world.hosts.values()), "down"

    with pytest.raises(SimulationFailed, match=r"\d+ faults -> 1, 12 commands -> 1 ") as failed:
        hurried()
    assert failed.value.run.profile.commands == failed.value.run.drawn == 1


# plans for Hypothesis


def kinds(plan: tuple[Fault, ...]) -> set[str]:
    return {fault.kind for fault in plan}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(plan=fault_plans())
def test_plans_without_a_test_hurt_hosts_and_the_server(plan: tuple[Fault, ...]) -> None:
    assert len(plan) <= 6
    assert kinds(plan) <= {*HOSTS, *SERVER}
    assert all(0 <= fault.at <= 20 * 10**9 for fault in plan)


def test_plans_for_a_test_hit_its_messages() -> None:
    plan = find(fault_plans(reference), lambda plan: bool(kinds(plan) & set(WIRE)))
    assert len(plan) == 1
    run = reference.run(0, plan=plan)
    assert run.error is None and len(run.hits) == 1


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 3), plan=fault_plans(reference, max_size=3))
def test_the_reference_scenario_holds_under_any_few_faults(
    seed: int, plan: tuple[Fault, ...]
) -> None:
    reference.run(seed, plan=plan).check()


def test_hypothesis_finds_the_one_fault_that_a_wrong_claim_does_not_survive() -> None:
    def fails(plan: tuple[Fault, ...]) -> bool:
        run: Run = hasty.run(0, plan=plan)
        return run.error is not None

    plan = find(fault_plans(hasty), fails, settings=settings(max_examples=500))
    assert len(plan) == 1 and kinds(plan) <= {"crash", "drop_delivery"}


def test_what_is_no_test_has_no_plans() -> None:
    with pytest.raises(InvalidSettings, match="give a test under @simulate"):
        fault_plans(len)  # type: ignore[arg-type]
    with pytest.raises(NoSuchExample):
        find(fault_plans(faults=faults.none()), bool)
