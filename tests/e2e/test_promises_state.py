"""P2 on a server: the state that comes back is the state, and nothing but the journal makes it."""

import asyncio
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentType, Decision, Host, Reply, connect
from moonlet.agents.histories import Verification
from moonlet.agents.owner import scrubber
from moonlet.core.errors import InvalidMessage
from moonlet.core.ids import AgentId
from moonlet.streams import Snapshots, Topology, read_messages
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.sets import ROWS, Gather, gathering
from tests.agents.states import (
    CHANGED,
    Anything,
    Base,
    Color,
    Derived,
    Kept,
    Number,
    OfBase,
    Show,
    Tick,
    ticking,
)
from tests.faulty import until_true

WHAT = "a state does not come back from a snapshot"


async def test_a_state_that_would_come_back_changed_has_no_snapshot_and_the_field_is_told_once(
    shared_server: ServerProcess, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    types = [made for made, _ in CHANGED.values()]
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, types) as host:
            agents = [f"{made.name}/{key}" for made in types for key in "ab"]
            await asyncio.gather(*(moon.tell(a, Tick(n)) for n in range(19) for a in agents))
            await asyncio.gather(*(moon.ask(agent, Tick(19)) for agent in agents))
            live = {a: await moon.query(a, Show()) for a in agents}
        assert host.services.alarms[WHAT] >= 2 * len(types)
        told = capfd.readouterr()
        lines = [line for line in (told.out + told.err).splitlines() if WHAT in line]
        for kind, (_, field) in CHANGED.items():
            mine = [line for line in lines if f"agent={kind}/" in line]
            assert len(mine) == 1 and field in mine[0], (kind, mine)
            assert await Snapshots(moon.bus).load(AgentId(kind, "a")) is None
        async with Host(moon, types):
            assert {a: await moon.query(a, Show()) for a in agents} == live


async def test_a_state_that_cannot_be_encoded_stops_neither_its_agent_nor_its_neighbours(
    shared_server: ServerProcess, name: str
) -> None:
    wei = ticking("vault", Number, lambda state, n: Number(state.n + 10**18))
    fine: AgentType[Number] = AgentType("count", Number, partitions=1)

    @fine.on_command
    def tick(state: Number, command: Tick) -> Decision:
        yield Reply(command.n)

    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [wei, fine]) as host:
            for v in range(3):  # each is one short of its snapshot, and over 64 bits
                await asyncio.gather(*(moon.tell(f"vault/{v}", Tick(1)) for _ in range(255)))
            asks: list[Any] = [moon.ask(f"vault/{v}", Tick(1), timeout=10) for v in range(3)]
            asks += [moon.ask(f"count/{k}", Tick(k), timeout=10) for k in range(50)]
            answers = await asyncio.gather(*asks)
            assert answers[3:] == list(range(50))
            assert (await moon.ask("vault/0", Tick(1))) is None
            assert host.services.alarms[WHAT] == 3, "and it is told"


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
async def test_whatever_a_class_raises_when_it_is_read_stops_neither_its_agent_nor_its_host(
    shared_server: ServerProcess, name: str, raised: type[BaseException]
) -> None:
    ours = [False]

    class Odd(msgspec.Struct, frozen=True):
        n: int = 0

        def __post_init__(self) -> None:
            if self.n and not ours[0]:  # it comes from a snapshot
                raise raised("no")

    def later(state: Odd, n: int) -> Odd:
        ours[0] = True
        try:
            return Odd(state.n + n)
        finally:
            ours[0] = False

    odd = ticking("odd", Odd, later)
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [odd]) as host:
            await asyncio.gather(*(moon.tell("odd/a", Tick(1)) for _ in range(256)))
            assert (await moon.ask("odd/a", Tick(1), timeout=10)) is None
            assert await moon.query("odd/a", Show()) == "Odd(n=257)"
            assert host.services.alarms[WHAT] >= 1
            assert host.failure is None and host.lease_holds


async def test_agents_of_one_type_never_share_what_they_began_with(
    shared_server: ServerProcess, name: str
) -> None:
    class Basket(msgspec.Struct):
        items: list[int]

    def put(state: Basket, n: int) -> Basket:
        state.items.append(n)  # as it should not be
        return Basket(state.items)

    basket = ticking("basket", Basket, put, Basket([]))
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [basket]):
            await moon.ask("basket/a", Tick(1))
            await moon.ask("basket/b", Tick(2))
            shown = [await moon.query(f"basket/{key}", Show()) for key in "ab"]
    assert shown == ["Basket(items=[1])", "Basket(items=[2])"]
    assert basket.behavior.initial() == Basket([])


async def test_old_snapshots_are_not_used_with_new_folding_code(
    shared_server: ServerProcess, name: str
) -> None:
    def priced(price: dict[str, int], fold_version: int = 0) -> Any:
        def cost(n: int) -> int:
            return n * price["unit"]

        made = ticking("shop", Number, lambda state, n: Number(state.n + cost(n)))
        made.fold_version = fold_version
        return made

    agent = AgentId("shop", "a")
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        codes: set[str] = set()
        for price, version in ((1, 0), (2, 0), (2, 1)):
            async with Host(moon, [priced({"unit": price}, version)]):
                await asyncio.gather(*(moon.ask("shop/a", Tick(1)) for _ in range(20)))
                revision = 20 * (len(codes) + 1)
                shown = await moon.query("shop/a", Show())
                assert shown == f"Number(n={price * revision})", "as if it had always been so"
            snapshot = await Snapshots(moon.bus).load(agent)
            assert snapshot is not None and snapshot.revision == revision
            codes.add(snapshot.code)
        assert len(codes) == 3


async def test_a_history_decided_again_in_another_order_of_its_sets_is_well(
    shared_server: ServerProcess, name: str
) -> None:
    agent = AgentId("till", "a")
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [gathering(ROWS[0])]):
            await moon.ask("till/a", Gather(1))
        stream = moon.bus.topology.journal_of("till")
        verification = Verification({"till": gathering(ROWS[1])})
        verification.meet(agent, stream)
        async for batch in read_messages(moon.bus, stream, moon.bus.subjects.journal(agent)):
            assert [verification.take(agent, message) for message in batch] == [None]
        assert verification.decided == 1


async def test_what_a_handler_gets_is_what_was_sent_or_the_sender_is_told(
    shared_server: ServerProcess, name: str
) -> None:
    kept: AgentType[Anything] = AgentType("kept", Anything, partitions=1)

    @kept.on_command
    def keep(state: Anything, command: OfBase | Anything) -> Decision:
        yield Reply(repr(command))

    @kept.on_command
    def tick(state: Anything, command: Tick) -> Decision:
        yield Kept((1, 2))  # of which a reader would get a list

    @kept.on_event
    def was_kept(state: Anything, event: Kept) -> Anything:
        return Anything(event.value)

    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [kept]):
            fine: list[Any] = [OfBase(Base(1)), Anything({"k": [1, 2.5, "x", 2**60 + 1]})]
            for sent in fine:
                assert await moon.ask("kept/a", sent) == repr(sent)
            changed: list[Any] = [OfBase(Derived(1, 2)), Anything(Color.RED), Anything({1: 2})]
            for sent in changed:
                with pytest.raises(InvalidMessage, match="changes when it is stored"):
                    await moon.tell("kept/a", sent)
            await moon.tell("kept/a", Tick(1))
            commits = [commit async for commit in moon.history("kept/a")]
            while len(commits) < 3:
                commits = [commit async for commit in moon.history("kept/a")]
    assert [commit.outcome for commit in commits] == ["accepted", "accepted", "parked"]
    assert "Kept changes when it is stored and read again: $.value is (1, 2)" in commits[2].reason


class Basket(msgspec.Struct):
    items: list[int]


class Peek(msgspec.Struct, frozen=True):
    """How many there are."""


async def test_a_state_that_is_changed_in_place_is_found_and_read_again(
    shared_server: ServerProcess, name: str
) -> None:
    def basket(name: str, evolve: Any) -> AgentType[Basket]:
        return ticking(name, Basket, evolve, Basket([]))  # type: ignore[no-any-return]

    folds = basket("folds", lambda state, n: state.items.append(n) or state)
    fine = basket("fine", lambda state, n: Basket([*state.items, n]))
    decides: AgentType[Basket] = AgentType("decides", Basket, initial=Basket([]), partitions=1)
    asks = basket("asks", lambda state, n: Basket([*state.items, n]))

    @decides.on_command
    def spoil(state: Basket, command: Tick) -> Decision:
        state.items.append(99)
        yield Reply(len(state.items))

    @decides.on_query
    def show(state: Basket, query: Show) -> str:
        return repr(state)

    @asks.on_query
    def peek(state: Basket, query: Peek) -> int:
        state.items.append(99)
        return len(state.items)

    what = "a state was changed in place"
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [fine]) as host:
            await moon.ask("fine/a", Tick(1))
            await moon.query("fine/a", Show())
            assert what not in host.services.alarms
        for made in (folds, decides):
            async with Host(moon, [made]) as host:
                await moon.ask(f"{made.name}/a", Tick(1))
                assert host.services.alarms[what] == 1
        async with Host(moon, [asks]) as host:
            await moon.ask("asks/a", Tick(1))
            await moon.query("asks/a", Peek())
            assert host.services.alarms[what] == 1

            async def right_again() -> bool:
                return bool(await moon.query("asks/a", Show()) == "Basket(items=[1])")

            await until_true(right_again)


async def test_a_snapshot_that_is_not_the_fold_of_its_commits_is_found_and_dropped(
    shared_server: ServerProcess,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scrubber, "SCRUB_EVERY", 0.1)
    counts = ticking("count", Number, lambda state, n: Number(state.n + n))
    agent = AgentId("count", "a")
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        snapshots = Snapshots(moon.bus)
        async with Host(moon, [counts]):
            await asyncio.gather(*(moon.ask("count/a", Tick(1)) for _ in range(20)))
        snapshot = await snapshots.load(agent)
        assert snapshot is not None
        forged = msgspec.structs.replace(snapshot, state=counts.encode_state(Number(1_000_000)))
        landed = snapshots.store(agent, forged)
        assert landed is not None
        await landed
        async with Host(moon, [counts]) as host:

            async def right_again() -> bool:
                return bool(await moon.query("count/a", Show()) == "Number(n=20)")

            await until_true(right_again)
            assert host.services.alarms["a snapshot is not the fold of its commits"] == 1
            assert host.services.alarms["a state is not the fold of its commits"] == 1
        told = capfd.readouterr()
        assert "field=$.n" in told.out + told.err and "agent=count/a" in told.out + told.err
        kept = await snapshots.load(agent)
        assert kept is None or counts.decode_state(kept.state) == Number(20)
