"""Bugs that simulation found in our own code: each as the few things that it takes."""

import pytest

from moonlet.core.errors import Unknown
from moonlet.simulations import World
from tests.agents.accounts import Deposit, GetBalance, Transfer
from tests.simulations.worlds import CLUSTER, passes


def test_a_first_command_outlives_a_lost_answer_about_its_type() -> None:
    """`tell` asked the registry once, and failed with the first answer that was lost."""

    async def body(world: World) -> None:
        async with world.client() as moon:
            world.lose_ack("c1", times=1)
            await moon.tell("account/a", Deposit(1), timeout=30)

    assert passes(body).commits == 1


def test_a_repeated_command_whose_first_copy_is_still_being_stored_is_not_refused() -> None:
    """A cluster says 10158 to the second copy: that is no refusal of the command."""

    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("account/a", Deposit(1))
            world.duplicate("account/a")
            await moon.tell("account/a", Deposit(1))

    assert passes(body, profile=CLUSTER).commits == 2


def test_asking_waits_for_its_time_though_the_journal_can_not_be_read() -> None:
    """Without an owner `ask` read the journal, and any trouble there ended it at once."""

    async def body(world: World) -> None:
        world.crash("h1")
        world.crash("h2")
        async with world.client() as moon:
            await moon.tell("account/a", Deposit(1))
            world.lose_ack("DIRECT.GET.moon-journal-main", times=1_000)
            with pytest.raises(Unknown) as unknown:
                await moon.ask("account/a", Deposit(1), timeout=12)
            assert unknown.value.stored == "yes"

    passes(body)


def test_a_hole_in_what_is_read_is_read_again_and_breaks_no_agent() -> None:
    """One lost message of a page made recovery say that history was changed."""

    async def body(world: World) -> None:
        async with world.client() as moon:
            for balance in range(1, 10):
                assert await moon.ask("account/a", Deposit(1)) == balance
            for host in world.hosts:
                world.forget_agents(host)
            world.lose_ack("DIRECT.GET.moon-journal-main", times=1)
            assert await moon.ask("account/a", Deposit(1)) == 10

    passes(body)


def test_who_hands_over_does_not_say_that_its_agents_are_stopped() -> None:
    """While effects were on their way out, the old owner answered queries with 'is stopped'."""

    async def body(world: World) -> None:
        async with world.client() as moon:
            for i in range(8):
                await moon.tell(f"account/a{i}", Deposit(1))
            world.drop("in", times=4)
            for i in range(8):
                await moon.tell(f"account/a{i}", Transfer(f"account/a{i + 1}", 1))
            world.drain("h1")
            world.drain("h2")
            for i in range(8):
                await moon.query(f"account/a{i}", GetBalance(), timeout=30)

    passes(body)


def test_an_outcome_that_can_not_be_looked_up_kills_no_task() -> None:
    """The owner of an older command's retry read the journal unguarded."""

    async def body(world: World) -> None:
        async with world.client() as moon:
            assert await moon.ask("account/a", Deposit(1), id="mine") == 1
            for host in ("h1", "h2"):
                world.crash(host)
                world.restart(host)
            await world.until(world.phases.owned)
            await moon.query("account/a", GetBalance())
            world.jetstream.forget_ids()
            world.lose_ack("DIRECT.GET.moon-journal-main", times=1)
            assert await moon.ask("account/a", Deposit(1), id="mine") == 1

    assert passes(body).commits == 1
