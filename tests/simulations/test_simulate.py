"""`@simulate` as a user meets it: plain tests, a report that replays, one trace per seed."""

import gc
import inspect
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from moonlet.core.errors import InvalidSettings
from moonlet.core.memory import Windows
from moonlet.simulations import Trace, World, faults, run_elsewhere, simulate, sweep
from moonlet.simulations.jetstream import Packet
from moonlet.simulations.network import SimNetwork
from moonlet.simulations.reference import reference
from moonlet.simulations.replay import replay, save, scenario_of
from moonlet.simulations.scenario import COLLECT_EVERY
from moonlet.simulations.search import SimulationFailed, asked_seeds
from moonlet.simulations.search.decorator import SEEDS_VARIABLE
from tests.agents.accounts import Deposit, Transfer
from tests.simulations import determinism
from tests.simulations.bazaar import operation, visits
from tests.simulations.bazaar import scenario as bazaar
from tests.simulations.impatient import impatient
from tests.simulations.small import fine
from tests.simulations.worlds import ACCOUNT


@simulate(
    seeds=20, hosts=3, agents=[ACCOUNT], faults=faults.all(), horizon="20s", heal_within="120s"
)
async def test_transfers_never_create_money(world: World) -> None:
    async with world.client() as moon:
        for i in range(50):
            await moon.tell(f"account/{i % 5}", Transfer(to=f"account/{(i + 1) % 5}", amount=1))
    await world.settle()
    assert sum(s.balance for s in (await world.states("account")).values()) == 0


@simulate(seeds=3, hosts=2, agents=[ACCOUNT], faults=faults.only("crash", "lose_ack"))
async def test_only_the_named_kinds_are_drawn(world: World) -> None:
    assert set(world.profile.rates) <= {"crash", "lose_ack"}
    async with world.client() as moon:
        await moon.tell("account/a", Deposit(1))


@simulate(seeds=2, hosts=1, agents=[ACCOUNT], faults=faults.none())
async def test_without_faults_nothing_is_hurt(world: World) -> None:
    async with world.client() as moon:
        assert await moon.ask("account/a", Deposit(1)) == 1
    await world.settle()
    assert not world.plan.hits


@pytest.mark.timeout(240)
def test_the_reference_scenario_holds_under_all_faults() -> None:
    found = sweep(reference, range(200))
    found.report()
    assert found.passed == 200 and found.commits > 1_000
    fired = set(found.coverage.fired)
    assert fired == set(faults.all().kinds), set(faults.all().kinds) - fired


@pytest.mark.timeout(240)
def test_the_bazaar_holds_under_all_faults() -> None:
    sweep(bazaar, range(25)).report()


@pytest.mark.timeout(240)
def test_the_bazaar_holds_while_agents_are_stopped_and_started() -> None:
    sweep(operation, range(15)).report()


@pytest.mark.timeout(240)
def test_the_bazaar_holds_while_hosts_of_a_part_of_its_types_come_and_go() -> None:
    sweep(visits, range(12)).report()


@pytest.mark.timeout(240)
def test_what_a_client_says_of_a_command_is_so() -> None:
    sweep(impatient, range(20)).report()


@pytest.mark.parametrize("seed", [1573, 2243, 2246])
def test_an_agent_that_was_stopped_goes_on_in_order(seed: int) -> None:
    """What waited was put behind what had come later: a promise broken (P4), a transfer lost."""
    run = operation.run(seed)
    assert run.error is None, str(run.error)


@pytest.mark.timeout(240)
def test_one_seed_leaves_one_trace_in_every_process() -> None:
    seeds = range(12)
    here = [determinism.digest(seed) for seed in seeds]
    assert len(set(here)) == len(here)
    for hash_seed in ("1", "random"):
        name = f"{determinism.__name__}:digest"
        assert run_elsewhere(name, seeds, hash_seed=hash_seed) == here
    assert determinism.differing(range(2)) == {}


def test_one_changed_byte_of_any_message_to_a_process_changes_the_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Goal 2: 200 of 200 mutations of one byte, in deliveries, answers and pages read."""
    carry = SimNetwork.carry
    wanted = (-1, 0)
    seen = 0

    def altered(self: SimNetwork, packet: Packet, *others: Any) -> None:
        nonlocal seen
        message = packet.message
        if message is not None and message.data and not packet.to_server:
            if seen == wanted[0]:
                data = bytearray(message.data)
                data[wanted[1] % len(data)] ^= 1 << wanted[1] % 8
                packet = replace(packet, message=replace(message, data=bytes(data)))
            seen += 1
        carry(self, packet, *others)

    def digest(*mutation: int) -> str:
        nonlocal wanted, seen
        wanted, seen = mutation or (-1, 0), 0  # type: ignore[assignment]
        return fine.run(3).digest

    monkeypatch.setattr(SimNetwork, "carry", altered)
    whole, messages = digest(), seen
    assert messages > 40
    for number in range(200):
        assert digest(number * messages // 200, 7 * number) != whole, f"mutation {number}"


def test_the_plan_that_fired_is_the_same_run_bit_for_bit() -> None:
    for seed in range(8):
        run = reference.run(seed)
        again = reference.run(seed, plan=run.hits, profile=run.profile)
        assert again.digest == run.digest, f"seed {seed} with {len(run.hits)} faults"


def test_a_failure_is_shrunk_saved_and_replayed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Windows, "add", lambda *_: None)  # no sender window: retries count twice
        few = msgspec.structs.replace(reference, faults=faults.only("drop_reply", "crash"))
        found = sweep(few, range(100))
        assert found.failed is not None, "a hundred seeds saw nothing"
        with pytest.raises(SimulationFailed) as failed:
            found.report()
        text = str(failed.value)
        assert f"seed {found.failed.seed}" in text and "faults -> " in text
        assert f"sim explain {failed.value.path}" in text
        assert 0 < len(failed.value.run.hits) <= len(found.failed.hits)
        assert replay(failed.value.path, exact=True).failure == failed.value.run.failure
        fewer = replay(failed.value.path, without=[1])
        assert fewer.failure != failed.value.run.failure
    assert "NOT reproduced in a fresh process" in text  # there the window is whole
    assert replay(failed.value.path).error is None


def test_a_kept_run_names_a_test_that_can_be_found(tmp_path: Path) -> None:
    run = reference.run(3)
    path = tmp_path / "kept.sim"
    save(run, path)
    assert replay(path, exact=True).digest == run.digest
    assert scenario_of("tests.simulations.bazaar:scenario") is bazaar
    with pytest.raises(InvalidSettings, match="no simulated test of that name"):
        scenario_of("tests.simulations.bazaar:nobody")
    with pytest.raises(InvalidSettings, match="no such module"):
        scenario_of("tests.nowhere:nobody")
    with pytest.raises(InvalidSettings, match="the plan has the faults"):
        replay(path, without=[99_999])


def test_a_program_started_by_its_file_keeps_runs_that_can_be_found() -> None:
    async def body(world: World) -> None:
        await world.settle()

    body.__module__ = "__main__"
    made = simulate(agents=[ACCOUNT])(body).scenario
    assert made.name.startswith(f"{Path(__file__).stem}:")


def test_what_cannot_be_simulated_is_said_at_once() -> None:
    with pytest.raises(InvalidSettings, match="name the agent types"):
        simulate(agents=[])
    with pytest.raises(InvalidSettings, match="must be at least 1"):
        simulate(agents=[ACCOUNT], hosts=0)
    with pytest.raises(InvalidSettings, match="no faults are called meteor"):
        faults.only("crash", "meteor")


def test_a_simulated_test_is_plain_to_pytest() -> None:
    assert not inspect.iscoroutinefunction(test_transfers_never_create_money)
    assert not inspect.signature(test_transfers_never_create_money).parameters
    assert test_transfers_never_create_money.__module__ == __name__


def test_the_environment_may_ask_for_other_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_seeds(20) == range(20)
    monkeypatch.setenv(SEEDS_VARIABLE, "98:99")
    assert asked_seeds(20) == range(98, 99)
    monkeypatch.setenv(SEEDS_VARIABLE, "5")
    assert asked_seeds(20) == range(5)
    monkeypatch.setenv(SEEDS_VARIABLE, "many")
    with pytest.raises(InvalidSettings, match=SEEDS_VARIABLE):
        asked_seeds(20)


def test_many_runs_leave_few_traces_behind() -> None:
    for seed in range(60):
        fine.run(seed)
    assert sum(type(thing) is Trace for thing in gc.get_objects()) <= 2 * COLLECT_EVERY


def worlds() -> int:
    return sum(type(thing) is World for thing in gc.get_objects())


def test_a_run_leaves_no_world_behind() -> None:
    """Or a sweep of thousands of seeds would fill the memory: the collector hardly ever comes."""
    gc.collect()
    gc.disable()
    try:
        before = worlds()
        fine.run(1)
        assert worlds() == before  # other tests' modules keep some
    finally:
        gc.enable()
