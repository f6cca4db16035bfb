"""The world: hosts and clients run unchanged in it, and its verbs do what they say."""

import pytest

from moonlet.core.errors import InvalidSettings, NoHost, Unknown
from moonlet.simulations import NotReached, World
from tests.agents.accounts import Deposit, DepositLater, GetBalance, Transfer
from tests.simulations.worlds import CALM, CLUSTER, passes, run


async def ring(world: World, *, rounds: int = 10) -> None:
    """Transfers around a ring, one after the other."""
    async with world.client() as moon:
        for i in range(rounds):
            await moon.tell(f"account/a{i % 5}", Transfer(f"account/a{(i + 1) % 5}", 1))
    await world.settle()
    assert sum(state.balance for state in (await world.states("account")).values()) == 0


def test_hosts_and_clients_run_unchanged() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            assert await moon.ask("account/a", Deposit(7)) == 7
            assert await moon.query("account/a", GetBalance()) == 7
            assert [commit.revision async for commit in moon.history("account/a")] == [1]
            assert (await moon.state("account/a")).balance == 7
            await moon.tell("account/a", Transfer("account/b", 2))
        await world.settle()
        assert {key: s.balance for key, s in (await world.states("account")).items()} == {
            "a": 5,
            "b": 2,
        }

    for profile in (CALM, CLUSTER):
        assert passes(body, profile=profile).commits == 3


def test_a_crashed_host_runs_nothing_more_and_another_takes_over() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            for i in range(10):
                await moon.tell(f"account/a{i}", Deposit(1))
            world.crash("h1")
            assert not world.hosts["h1"].node.up
            began = world.now
            for i in range(10):
                assert await moon.ask(f"account/a{i}", Deposit(1)) == 2
            assert world.now - began < world.lease + 2
            world.restart("h1")
            world.crash("h2")
            for i in range(10):
                assert await moon.ask(f"account/a{i}", Deposit(1)) == 3

    passes(body)


def test_a_paused_host_wakes_up_as_a_zombie_and_writes_nothing_twice() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            for i in range(10):
                await moon.tell(f"account/a{i}", Deposit(1))
            world.pause("h1", "8s")
            world.pause("h2", "3s")
            for i in range(10):
                assert await moon.ask(f"account/a{i}", Deposit(1)) == 2
            await world.advance("10s")
            for i in range(10):
                assert await moon.ask(f"account/a{i}", Deposit(1)) == 3

    passes(body)


@pytest.mark.parametrize("way", ["both", "in", "out"])
def test_a_partition_keeps_everything_from_its_host_until_it_heals(way: str) -> None:
    async def body(world: World) -> None:
        world.partition("h1", way)
        world.partition("h2", way)
        async with world.client() as moon:
            await moon.tell("account/a", Deposit(1))
            with pytest.raises(Unknown):
                await moon.ask("account/a", Deposit(1), timeout=5)
            if way != "in":
                assert not world.chronicle.commits
            world.heal()
            assert await moon.ask("account/a", Deposit(1)) == 3

    passes(body)


def test_what_is_held_arrives_later_and_in_order() -> None:
    async def body(world: World) -> None:
        world.hold("h1", "700ms")
        world.hold("h2", "700ms")
        began = world.now
        async with world.client() as moon:
            assert await moon.ask("account/a", Deposit(1)) == 1
        assert 0.5 < world.now - began < 3

    passes(body)


def test_a_lost_answer_a_repeated_and_a_late_message_change_nothing() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("account/a", Deposit(1))
            world.lose_ack("account/a", times=2)
            assert await moon.ask("account/a", Deposit(1)) == 2
            world.duplicate("account/a", times=2)
            assert await moon.ask("account/a", Deposit(1)) == 3
            world.delay("account/a", "6s")
            assert await moon.ask("account/a", Deposit(1)) == 4
            world.drop("account/a", times=2)
            assert await moon.ask("account/a", Deposit(1)) == 5

    for profile in (CALM, CLUSTER):
        passes(body, profile=profile)


def test_the_server_may_restart_fail_fill_up_and_lose_its_leader() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            assert await moon.ask("account/a", Deposit(1)) == 1
            world.jetstream.stop()
            await world.advance("10ms")
            with pytest.raises(Unknown) as unknown:
                await moon.tell("account/a", Deposit(1), timeout=1)
            assert unknown.value.stored == "no"
            world.jetstream.start()
            balance = 1
            for verb in (
                world.jetstream.change_leader,
                world.jetstream.slow,
                world.jetstream.full,
                world.jetstream.fail,
                world.jetstream.forget_acks,
                world.jetstream.forget_ids,
            ):
                verb()
                balance += 1
                assert await moon.ask("account/a", Deposit(1)) == balance

    for profile in (CALM, CLUSTER):
        passes(body, profile=profile)


def test_power_loss_of_an_acknowledged_tail_is_seen() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            assert await moon.ask("account/a", Deposit(1)) == 1
            assert await moon.ask("account/a", Deposit(1)) == 2
        await world.settle()
        lost = world.jetstream.power_loss(1)
        assert lost["moon-journal-main"] == 1
        await world.advance("5s")

    found = run(body)
    assert found.error is not None, "a lost commit went unseen"


def test_a_timer_fires_when_its_time_has_come_and_not_before() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("account/a", DepositLater(5, after=300.0))
            await world.advance("299s")
            assert await moon.query("account/a", GetBalance()) == 0
            await world.advance("2s")
            assert await moon.query("account/a", GetBalance()) == 5

    passes(body)


def test_clocks_that_are_wrong_change_no_outcome() -> None:
    async def body(world: World) -> None:
        world.skew("h1", "-40s")
        world.skew("h2", "+1h")
        world.drift("h1", 50_000)
        world.slow("h2", "2ms")
        await ring(world)

    passes(body)


def test_hosts_that_hand_over_lose_no_time() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            for i in range(10):
                await moon.tell(f"account/a{i}", Deposit(1))
            world.drain("h1")
            began = world.now
            for i in range(10):
                assert await moon.ask(f"account/a{i}", Deposit(1)) == 2
            assert world.now - began < 1.5

    passes(body)


def test_agents_at_rest_may_leave_memory_at_any_time() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            for balance in range(1, 30):
                assert await moon.ask("account/a", Deposit(1)) == balance
                for host in world.hosts:
                    world.forget_agents(host)

    passes(body)


def test_without_any_host_nothing_is_lost_and_the_reason_is_told() -> None:
    async def body(world: World) -> None:
        world.crash("h1")
        world.crash("h2")
        async with world.client() as moon:
            await moon.tell("account/a", Deposit(1))
            with pytest.raises(NoHost):
                await moon.query("account/a", GetBalance(), timeout=1)
        await world.settle()

    assert passes(body).commits == 1


def test_until_waits_for_a_condition_and_says_what_did_not_come() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("account/a", Deposit(1))
            await world.until(lambda: world.chronicle.commits == 1)
            with pytest.raises(NotReached, match="not reached within 2s: two commits"):
                await world.until(lambda: world.chronicle.commits == 2, "2s", "two commits")

    passes(body)


def test_a_client_reads_histories_and_states_patiently() -> None:
    async def body(world: World) -> None:
        async with world.client() as moon:
            for _ in range(3):
                await moon.ask("account/a", Deposit(1))
            for reading in range(2):
                world.lose_ack("DIRECT.GET.moon-journal-main", times=2)
                world.lose_ack("c1", times=1)
                if reading:
                    assert (await moon.state("account/a")).balance == 3
                else:
                    found = [commit.revision async for commit in moon.history("account/a")]
                    assert found == [1, 2, 3]

    passes(body)


def test_names_that_nobody_has_are_refused() -> None:
    async def body(world: World) -> None:
        with pytest.raises(InvalidSettings, match="there is no host h9; there are h1, h2"):
            world.crash("h9")
        with pytest.raises(InvalidSettings, match="way='up'"):
            world.partition("h1", "up")
        with pytest.raises(InvalidSettings, match="no duration"):
            await world.advance("soon")

    passes(body)


def test_equal_seeds_give_equal_traces_and_others_do_not() -> None:
    digests = [passes(ring, seed=seed).digest for seed in (1, 2, 1)]
    assert digests[0] == digests[2] != digests[1]


def test_settle_says_which_timers_are_open_and_how_far_they_are() -> None:
    """What waits for a timer is not done: a double behind it is seen only once it has fired."""

    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("account/a", DepositLater(5, after=60.0))
            await moon.tell("account/b", DepositLater(5, after=3_600.0, name="late"))
            left = await world.settle()
            assert list(left) == ["account/a deposit", "account/b late"]
            assert 0 < left["account/a deposit"] <= 60 < left["account/b late"] <= 3_600
            assert (await world.states("account"))["a"].balance == 0
            await world.advance("61s")
            left = await world.settle()
            assert list(left) == ["account/b late"]
            assert (await world.states("account"))["a"].balance == 5

    passes(body)
