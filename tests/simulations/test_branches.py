"""Runs that are forked off a calm one: each ends as the whole run of its plan, and none is lost."""

import os
import random
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import msgspec
import pytest

from moonlet.simulations import Scenario, SimulationError, World, faults
from moonlet.simulations.faults import HOSTS, SERVER, UNSAFE, Fault
from moonlet.simulations.reference import Transfer, bank, reference
from moonlet.simulations.search import BranchOutcome, run_branches, run_whole, single_faults
from moonlet.simulations.search.trunk import ending
from tests.simulations.small import Add, counter, hasty

Plan = tuple[Fault, ...]

S = 1_000_000_000
OF_A_KIND = 3
CRASH = Fault(at=2 * S, kind="crash", target="h2", lasts=S)
LATER = Fault(at=3 * S, kind="crash", target="h3", lasts=S)
LASTS = {"drift": 50_000, "power_loss": 2}  # parts in a million, messages
NOWHERE = Fault(kind="drop_request", target="h1", key="a message that is never sent")


def branches(scenario: Scenario, plans: Sequence[Plan], **options: int) -> list[BranchOutcome]:
    return sorted(run_branches(scenario, plans, **options))


def some_of_each_kind(plans: Sequence[Plan]) -> list[Plan]:
    """Of each kind and length, and for hosts of each offset, a first, a middle and a last one."""

    def sort(numbered: tuple[int, Plan]) -> tuple[str, int, int]:
        number, (fault,) = numbered
        return fault.kind, fault.lasts, number % 2 if fault.at else 0

    found: list[Plan] = []
    for _, group in groupby(sorted(enumerate(plans), key=sort), key=sort):
        of_it = [plan for _, plan in group]
        found += {plan: 0 for plan in of_it[:: max(1, (len(of_it) - 1) // (OF_A_KIND - 1))]}
    return found


@pytest.mark.parametrize("servers", [1, 3])
def test_a_branch_is_the_whole_run_of_its_plan(servers: int) -> None:
    plans = some_of_each_kind(single_faults(reference, servers=servers))
    assert len({plan[0].kind for plan in plans}) == 12
    found = branches(reference, plans, servers=servers)
    assert found == list(run_whole(reference, plans, servers=servers))
    assert len({outcome.digest for outcome in found}) > len(plans) * 0.9


def test_faults_of_all_kinds_at_any_time_are_shared_and_so_are_plans_of_several() -> None:
    timed = [
        Fault(
            at=(2 + number % 9) * S,
            kind=kind,
            target="h2" if kind in HOSTS else "nats",
            lasts=LASTS.get(kind, S),
        )
        for number, kind in enumerate((*HOSTS, *SERVER, *UNSAFE))
    ]
    hits = [plan[0] for plan in single_faults(reference)[:600:150]]
    plans: list[Plan] = [*((fault,) for fault in timed), (CRASH, LATER), (LATER, *hits)]
    plans += [(), (NOWHERE,), (NOWHERE, CRASH), (CRASH,), (CRASH,)]
    assert branches(reference, plans, jobs=2) == list(run_whole(reference, plans))


def test_the_plans_that_fail_are_the_same_and_fail_the_same_way() -> None:
    plans = single_faults(hasty)
    found = branches(hasty, plans, jobs=2)
    failed = [outcome for outcome in found if outcome.failure]
    assert 0 < len(failed) < len(plans)
    assert found == list(run_whole(hasty, plans))


async def never_down(world: World) -> None:
    """The bank, where nothing may be committed while a host is down."""
    world.always("all are up", lambda _: all(host.node.up for host in world.hosts.values()))
    await bank(world)


async def by_chance(world: World) -> None:
    """Whom it pays is left to Python's own chance, which a run makes its own."""
    async with world.client() as moon:
        for _ in range(8):
            await moon.tell(f"account/a{random.randrange(6)}", Transfer("account/b", 1))
            await world.advance("500ms")


@pytest.mark.parametrize("body", [never_down, by_chance])
def test_broken_invariants_and_pythons_own_chance_are_those_of_the_whole_run(
    body: Callable[[World], object],
) -> None:
    scenario = msgspec.structs.replace(reference, body=body)
    plans = some_of_each_kind(single_faults(scenario))
    found = branches(scenario, plans)
    assert found == list(run_whole(scenario, plans))
    assert any(outcome.failure for outcome in found) == (body is never_down)


# processes that end otherwise


def ending_when_hurt(end: Callable[[], object]) -> Scenario:
    """A scenario that does this as soon as a host is down."""

    async def body(world: World) -> None:
        async with world.client() as moon:
            for _ in range(40):
                await moon.tell("counter/a", Add())
                await world.advance("100ms")
                if not all(host.node.up for host in world.hosts.values()):
                    end()

    return Scenario(
        name=f"{__name__}:body", body=body, agents=(counter,), faults=faults.only("crash"), hosts=3
    )


def for_ever() -> None:
    while True:
        pass


@pytest.fixture
def told() -> Iterator[tuple[int, int]]:
    """A pipe: who holds its other end lives."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def all_gone(told: tuple[int, int]) -> bool:
    """Whether all processes that were forked since `told` are gone within a bounded time."""
    os.close(told[1])
    return bool(select.select([told[0]], [], [], 20)[0]) and not os.read(told[0], 1)


def test_a_branch_that_dies_without_a_result_is_told_of_and_the_others_go_on() -> None:
    scenario = ending_when_hurt(lambda: os._exit(7))
    found = branches(scenario, [(CRASH,), (NOWHERE,), (LATER,)], jobs=2)
    assert [outcome.is_lost for outcome in found] == [True, False, True]
    assert found[0].failure == "no result: its process ended with 7"
    assert ending(signal.SIGKILL) == "its process ended with SIGKILL"


def test_a_trunk_that_dies_is_an_error() -> None:
    scenario = ending_when_hurt(lambda: None)
    scenario = msgspec.structs.replace(scenario, body=lambda world: os._exit(7))
    with pytest.raises(SimulationError, match="ended with 7: 2 of 2 plans were not tried"):
        branches(scenario, [(CRASH,), (LATER,)])


def test_who_stops_asking_leaves_no_process_behind(told: tuple[int, int]) -> None:
    crash_h1 = msgspec.structs.replace(LATER, target="h1")
    scenario = ending_when_hurt(for_ever)
    fine = Fault(at=S, kind="cut", target="h1")
    outcomes = run_branches(scenario, [(fine,), (CRASH,), (LATER,), (crash_h1,)], jobs=2)
    assert next(outcomes).number == 0
    outcomes.close()  # type: ignore[attr-defined]
    assert all_gone(told)


def test_branches_end_with_a_trunk_that_is_killed(
    told: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    forked: list[int] = []
    fork = os.fork

    def noting() -> int:
        forked.append(fork())
        return forked[-1]

    monkeypatch.setattr(os, "fork", noting)
    fine = Fault(at=S, kind="cut", target="h1")
    outcomes = run_branches(ending_when_hurt(for_ever), [(fine,), (CRASH,), (LATER,)], jobs=2)
    assert next(outcomes).number == 0
    os.kill(forked[0], signal.SIGKILL)
    with pytest.raises(SimulationError, match="SIGKILL: 2 of 3 plans were not tried"):
        next(outcomes)
    assert all_gone(told)
