"""Checkers see what they are for, each in a world that was made wrong on purpose."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from moonlet.agents import Client
from moonlet.core.commit import Commit
from moonlet.core.digest import DIGEST_HEADER
from moonlet.simulations import Diverged, NotReached, Violation, World, faults, sweep
from moonlet.simulations.checkers import CHECKERS, check_order
from moonlet.simulations.faults import Profile
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.search import check_determinism
from tests.agents.accounts import Deposit, Transfer
from tests.simulations.small import fine
from tests.simulations.worlds import ACCOUNT, CALM, CLUSTER, passes, run

THREE = "account/a"


async def three(world: World) -> None:
    """Three commits of one agent."""
    async with world.client() as moon:
        for _ in range(3):
            await moon.ask(THREE, Deposit(1))
    await world.settle()


def another_digest(world: World) -> None:
    """Somebody exchanged a commit."""
    message = world.server.broker.model.streams["moon-journal-main"].store.messages[2]
    message.headers = {**(message.headers or {}), DIGEST_HEADER: "f" * 32}


def one_less(world: World) -> None:
    """Somebody deleted a commit."""
    world.server.broker.model.streams["moon-journal-main"].store.remove(2)


def ahead(world: World) -> None:
    """A host knows of a commit that no journal has."""
    for process in world.hosts.values():
        assert process.host is not None
        for place in process.host.partitions:
            partition = process.host.partition(*place)
            for agent in partition.agents.values() if partition is not None else ():
                if agent.fold is not None:
                    agent.fold.revision += 1


def another_state(world: World) -> None:
    """A host has another state than its journal."""
    for process in world.hosts.values():
        assert process.host is not None
        for place in process.host.partitions:
            partition = process.host.partition(*place)
            for agent in partition.agents.values() if partition is not None else ():
                if agent.fold is not None:
                    agent.fold.state = msgspec.structs.replace(agent.fold.state, balance=9)


def vanished(world: World) -> None:
    """A command was acknowledged, and has no commit."""
    command = next(iter(world.chronicle.commands.values()))
    world.chronicle.undone[command.agent, command.id] = command


def twice(world: World) -> None:
    """A command was applied twice."""
    world.chronicle.histories[THREE].twice.append("again")


def fired_otherwise(world: World) -> None:
    """A timer fired what it was not set for."""
    commits = world.chronicle.histories[THREE].commits
    command = msgspec.structs.replace(commits[2].command, timer="t", number=1)
    commits[2] = msgspec.structs.replace(commits[2], command=command)


def hours_ahead(world: World) -> None:
    """A host's clock was believed."""
    world.chronicle.histories[THREE].ahead.append("r2 is 10800.0 s ahead")


def overtaken(world: World) -> None:
    """Two commands of one lane were committed in the other order."""
    commits = world.chronicle.histories[THREE].commits
    commits[0], commits[1] = commits[1], commits[0]


def broken(world: World) -> None:
    """A history does not hang together."""
    world.chronicle.histories[THREE].broken = "revision 7 where 3 comes next"


def died(world: World) -> None:
    """A background task of a host died."""
    process = world.hosts["h1"]
    assert process.host is not None
    process.host.failure = RuntimeError("as asked")


WRONG: dict[str, tuple[Callable[[World], None], str]] = {
    "P1": (vanished, "P1 nothing vanishes"),
    "P2": (another_state, "P2 state is the fold"),
    "P3": (twice, "P3 exactly once"),
    "time": (hours_ahead, "time is the server's"),
    "P3, a timer": (fired_otherwise, "P3 exactly once"),
    "P4": (overtaken, "P5 one writer"),  # revisions out of order are seen first
    "P5": (broken, "P5 one writer"),
    "P6": (ahead, "P6 durable"),
    "P7, exchanged": (another_digest, "P7 immutable"),
    "P7, deleted": (one_less, "P7 immutable"),
    "life": (died, "a task died"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_seen_by_the_checker_of_its_promise(what: str) -> None:
    harm, promise = WRONG[what]

    async def body(world: World) -> None:
        await three(world)
        harm(world)
        for checker in CHECKERS:
            for found, text in checker(world):
                raise Violation(found, text, world.loop.now_ns)

    found = run(body, hosts=1)
    assert isinstance(found.error, Violation), found.error
    assert found.error.promise == promise
    assert passes(three, hosts=1).commits == 3


@pytest.mark.parametrize("wrong", ["ends early", "has a hole", "nothing"])
def test_a_history_that_is_not_whole_is_seen(wrong: str) -> None:
    async def body(world: World) -> None:
        await three(world)
        async with world.client() as moon:
            whole = [commit async for commit in moon.history(THREE)]
            given = {"ends early": whole[:2], "has a hole": whole[::2], "nothing": []}[wrong]

            async def other(*arguments: object, **options: object) -> AsyncIterator[Commit[Any]]:
                for commit in given:
                    yield commit

            with patch.object(Client, "history", other):
                async for _ in moon.history(THREE):
                    pass

    found = run(body)
    assert isinstance(found.error, Violation), found.error
    assert found.error.promise == "reads are whole"


def test_order_is_judged_by_mailbox_and_by_number() -> None:
    seen: list[str] = []

    async def body(world: World) -> None:
        async with world.client() as moon:
            for _ in range(3):
                await moon.tell("account/b", Transfer(THREE, 1))
        await world.settle()
        commits = world.chronicle.histories[THREE].commits
        commits[0], commits[1] = commits[1], commits[0]
        seen.extend(text for _, text in check_order(world))
        commits[0], commits[1] = commits[1], commits[0]

    passes(body)
    assert any("of the same lane" in text for text in seen)
    assert any("committed number" in text for text in seen)


def test_a_seed_that_leaves_two_traces_fails_the_sweep() -> None:
    """P9: what one run leaves in the process changes the next."""
    runs: list[int] = []

    async def forgetful(world: World) -> None:
        runs.append(1)
        await world.advance(f"{len(runs)}s")

    scenario = Scenario(
        name="tests:forgetful", body=forgetful, agents=(ACCOUNT,), faults=faults.none(), hosts=1
    )
    found = sweep(scenario, range(3))
    assert found.failed is not None and found.failed.seed == 0
    assert isinstance(found.failed.error, Diverged)
    assert check_determinism(fine.run(1)) is None


# what a test itself claims


def test_what_must_always_hold_is_judged_after_every_commit() -> None:
    seen: list[int] = []

    async def body(world: World) -> None:
        world.always("noted", lambda states: seen.append(states[THREE].balance))
        world.always("below three", lambda states: states[THREE].balance < 3)
        await three(world)

    found = run(body)
    assert isinstance(found.error, Violation)
    assert found.error.promise == "below three"
    assert f"after {THREE} r3" in str(found.error) and seen == [1, 2, 3]


def test_what_must_hold_in_the_end_may_be_asked_for_asynchronously() -> None:
    asked: list[float] = []

    async def body(world: World) -> None:
        async def later() -> bool:
            await world.advance("100ms")
            asked.append(world.now)
            return world.now > 5

        world.eventually("five seconds are over", later)
        world.eventually("three commits", lambda: world.chronicle.commits == 3)
        await three(world)
        assert world.now > 5

    passes(body)
    assert len(asked) > 3


def test_what_never_comes_to_hold_is_named_with_those_who_wait() -> None:
    async def body(world: World) -> None:
        world.eventually("a fourth commit", lambda: world.chronicle.commits == 4)
        await three(world)

    found = run(body, heal_within="3s")
    assert isinstance(found.error, NotReached)
    assert "not reached within 3s: eventually a fourth commit" in str(found.error)
    assert "h1 owns" in str(found.error)


@pytest.mark.parametrize("profile", [CALM, CLUSTER], ids=["one server", "a cluster"])
def test_everything_finishes_though_only_a_core_of_the_hosts_comes_back(profile: Profile) -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            for number in range(6):
                await moon.tell(f"account/c{number}", Deposit(1))
            await world.settle()
            up = [name for name, process in world.hosts.items() if process.node.up]
            assert len(up) == 1
            for number in range(6):
                assert await moon.ask(f"account/c{number}", Deposit(1)) == 2

    passes(body, hosts=3, profile=msgspec.structs.replace(profile, core=1))
