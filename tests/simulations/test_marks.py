"""`buggify` and `reached`: nothing outside a run; faults and facts in one; none never reached."""

import msgspec
import pytest

from moonlet.agents import AgentType, Decision, Send
from moonlet.agents.owner import feed
from moonlet.core.ids import LANES
from moonlet.core.marks import buggify, observed, reached
from moonlet.simulations import World, faults, simulate
from moonlet.simulations.faults import declared
from moonlet.simulations.loop import current_node
from moonlet.simulations.reference import reference
from moonlet.simulations.scenario import Run
from moonlet.simulations.search import single_faults
from moonlet.streams.reading import consumer
from tests.agents.accounts import Deposit, account_type
from tests.simulations.bazaar import visits
from tests.simulations.hub import hubs
from tests.simulations.listeners import left_behind, speaker
from tests.simulations.questions import crowd, far_ahead, long_ago
from tests.simulations.reading import reading
from tests.simulations.scrubbed import CHANGING, COUNTING, forged
from tests.simulations.test_blocked_steps import ALONE
from tests.simulations.waking import apart, away, left, sleepless, stalled
from tests.simulations.workshop import lossy, trickle, workshop
from tests.simulations.worlds import ACCOUNT, passes, run

TURNS = msgspec.structs.replace(reference, faults=faults.only("buggify"))


class Watched:
    """Says yes, and takes notes."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def buggify(self, name: str) -> bool:
        return name == "yes"

    def reached(self, name: str) -> None:
        self.noted.append(name)


def test_marks_do_nothing_until_somebody_takes_them_up() -> None:
    watched = Watched()
    assert not buggify("yes")
    reached("nothing")
    with observed(watched):
        assert buggify("yes") and not buggify("no")
        reached("this")
    assert not buggify("yes")
    assert watched.noted == ["this"]


def turned() -> list[Run]:
    """Runs in which the code took a rare turn."""
    return [run for run in map(TURNS.run, range(40)) if run.hits]


def test_rare_turns_are_faults_that_a_plan_repeats_and_leaves_out() -> None:
    runs = turned()
    assert len({hit.key for run in runs for hit in run.hits}) >= 3
    for found in runs[:5]:
        again = TURNS.run(found.seed, plan=found.hits, profile=found.profile)
        assert again.digest == found.digest
        assert TURNS.run(found.seed, plan=(), profile=found.profile).hits == []
    assert str(runs[0].hits[0]).startswith("buggify   h")


def test_rare_turns_belong_to_the_single_faults() -> None:
    keys = {plan[0].key for plan in single_faults(TURNS)}
    assert "an effect goes out twice" in keys


def test_a_turn_is_armed_in_a_quarter_of_the_runs() -> None:
    keys = [{hit.key for hit in run.hits} for run in map(TURNS.run, range(40))]
    twice = sum("an effect goes out twice" in found for found in keys)
    assert 3 <= twice <= 20


# every mark of the code is reached by what the suite runs


async def ahead(world: World) -> None:
    """A host whose clock is hours ahead decides, then one whose clock is right."""
    for host in world.hosts:
        world.skew(host, "2h")
    async with world.client() as moon:
        await moon.tell("account/a", Deposit(1))
        await world.settle()
        for host in world.hosts:
            world.skew(host, "-2h")
            world.crash(host)
            world.restart(host)
        await world.until(world.phases.owned)
        await moon.tell("account/a", Deposit(1))


async def full(world: World) -> None:
    """What was told before there is no room is decided when there is none."""
    async with world.client() as moon:
        await moon.tell("account/a", Deposit(1))
        for host in world.hosts:
            world.slow(host, "50ms")
        await moon.tell("account/a", Deposit(1))
        world.jetstream.full("2s")
        await world.advance("3s")


async def unheard(world: World) -> None:
    """What is acknowledged while the server forgets it is asked after, missed, and comes again."""
    async with world.client() as moon:
        world.jetstream.forget_acks("2s")
        for number in range(4):
            await moon.tell("account/a", Deposit(number))
        await world.advance("10s")


class Go(msgspec.Struct, frozen=True):
    """Send to nobody, or die deciding."""

    what: str


class Gone(msgspec.Struct, frozen=True):
    """It was decided."""


def walker() -> AgentType[Gone]:
    """An agent that ends its process, or sends to a type that no host knows."""
    agent_type = AgentType("walker", Gone, partitions=1)

    @agent_type.on_command
    def go(state: Gone, command: Go) -> Decision:
        node = current_node()
        if command.what == "die" and node is not None:
            node.crash()
        yield Gone()
        if command.what == "nobody":
            yield Send("nobody/x", Go(""))

    @agent_type.on_event
    def gone(state: Gone, event: Gone) -> Gone:
        return state

    return agent_type


async def to_nobody(world: World) -> None:
    """An effect that can't be delivered is parked."""
    async with world.client() as moon:
        await moon.tell("walker/a", Go("nobody"))
    await world.until(lambda: world.chronicle.parked, "60s", "the effect is parked")


async def deadly(world: World) -> None:
    """A command whose decision ends its process is parked by the third owner."""
    async with world.client() as moon:
        await moon.tell("walker/a", Go("die"))
        for _ in range(60):
            await world.advance("1s")
            for host in world.hosts:
                world.restart(host)
            if world.chronicle.parked_commands:
                break
    assert world.chronicle.parked_commands


NO_WORLD = {
    "a blocked host is gone, and left its mark",
    "a commit's time is that of the one before, and a bit",
    "a journal went back",
    "a pull is looked after late",
    "a record is left out, as a repair says",
    "a stream that was deleted is made again",
    "what a host can't read is left to newer code",
    "an agent waits for a host that is blocked by it",
    "an agent's time is ahead of the wall clock",
    "the past of an agent was stored by another owner too",
}
"""Marks that no world of this suite is known to come to; what they are of is tested on servers."""


def test_every_mark_of_the_code_is_reached_by_the_suite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missed = declared("moonlet.") - declared(
        "moonlet.projections."
    )  # they have a test of their own
    for directed in (ahead, full):
        missed -= set(passes(directed).reached)
    with monkeypatch.context() as patched:
        patched.setattr(feed, "CREDIT", dict.fromkeys(LANES, 2))
        patched.setattr(consumer, "UNCONFIRMED_MAX", 0)
        missed -= set(passes(unheard).reached)
    missed -= set(run(to_nobody, agents=(walker(),)).reached)
    missed -= set(passes(deadly, agents=(walker(),)).reached)
    for waking in (apart, away, left, stalled, crowd, far_ahead, long_ago):
        missed -= set(passes(waking, agents=(account_type(partitions=1),), hosts=1).reached)
    missed -= set(passes(forged, agents=(COUNTING, CHANGING), hosts=1).reached)
    missed -= set(passes(left_behind, agents=(speaker,), hosts=1).reached)
    missed -= set(visits.run(0).reached)
    assert declared("moonlet.") >= NO_WORLD
    missed -= NO_WORLD
    for seed in range(60):
        for scenario in (lossy, workshop, trickle, reference, sleepless, hubs, reading, ALONE):
            if missed:
                found = scenario.run(seed)
                assert found.error is None, f"{scenario.name} {seed}: {found.error}"
                missed -= set(found.reached)
    assert not missed, missed


# what a user's test may ask for


def wanting(*marks: str, seeds: int = 2) -> object:
    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("account/a", Deposit(1))

    return simulate(agents=[ACCOUNT], seeds=seeds, faults=faults.none(), hosts=1, marks=marks)(body)


def test_a_test_may_ask_that_marks_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    test = wanting("effects are dispatched again")
    assert callable(test)
    with pytest.raises(AssertionError, match="none reached: effects are dispatched again"):
        test()
    monkeypatch.setenv("MOONLET_SEEDS", "1:2")
    test()  # one seed that is looked at need not


def test_marks_are_found_in_the_sources() -> None:
    assert "effects are dispatched again" in declared("moonlet.agents.")
    assert "effects are dispatched again" not in declared("moonlet.streams.")
    assert declared("nothing.of.this.name") == set()
