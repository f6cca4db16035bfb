"""Views as of a time: what a replica held then, folded from the journals alone."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import Host, connect
from moonlet.core.commit import Skip
from moonlet.core.errors import Corrupt, Invalid
from moonlet.core.frontier import Frontier
from moonlet.projections import At, Fields, GSet, LexCounter, LWWRegister, ORMap, Replica, View
from moonlet.replay import (
    BundleSource,
    Cut,
    ServerSource,
    cut_at,
    cut_behind,
    view_at,
)
from moonlet.streams import Topology, decode_plain_commit
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, Deposited, account_type
from tests.console.support import invoke
from tests.replay.shop import Counted, Moved, Placed

moves = View("moves", version=1, of=ORMap[LexCounter], items=GSet, last=LWWRegister)


@moves.on_event
def moved(view: Fields, event: Moved | Counted | Placed, at: At) -> None:
    view.of[str(at.agent)].add(1)
    view.items.add(type(event).__name__)
    view.last.set(str(at.agent))


async def by_hand(shop: BundleSource, cut: Cut) -> dict[str, int]:
    """Events of the view by agent, counted without any view."""
    found: dict[str, int] = {}
    for facts in await shop.journals():
        async for batch in shop.messages(facts.stream):
            for message in batch:
                if message.sequence <= cut.frontier[facts.stream]:
                    commit = decode_plain_commit(facts.stream, message)
                    count = sum(e.name in ("Moved", "Counted", "Placed") for e in commit.events)
                    if count:
                        found[commit.agent] = found.get(commit.agent, 0) + count
    return found


async def test_at_every_commit_of_every_journal_it_holds_what_is_in_the_cut(
    shop: BundleSource,
) -> None:
    seen = set[str]()
    for facts in await shop.journals():
        for sequence in range(1, facts.last + 1):
            cut = await cut_behind(shop, facts.stream, sequence)
            state = await view_at(shop, moves, cut)
            assert state.value["of"] == await by_hand(shop, cut)
            assert state.frontier.sequences == {
                name: last for name, last in cut.frontier.items() if last
            }
            if facts.stream not in cut.lowered:
                assert cut.frontier[facts.stream] == sequence
            seen.add(str(state.value))
    assert len(seen) > 4
    now = await view_at(shop, moves)
    ends = {facts.stream: facts.last for facts in await shop.journals()}
    assert now.frontier.sequences == ends
    assert now.value["of"] == await by_hand(shop, Cut(ends))
    assert (await view_at(shop, moves, await cut_at(shop, 0))).value["of"] == {}
    with pytest.raises(Invalid, match="has no sequence 9999"):
        await cut_behind(shop, "shop-journal-goods", 9999)


async def test_a_view_of_some_types_reads_those_in_the_order_of_the_journal(
    shop: BundleSource,
) -> None:
    narrow = View("narrow", version=1, count=LexCounter)

    @narrow.on_event(source="order")
    def placed(view: Fields, event: Placed, at: At) -> None:
        view.count.add(1)

    @narrow.on_event(source="other")
    def never(view: Fields, event: Counted, at: At) -> None:
        view.count.add(1_000)

    one = Topology(prefix="shop", journals={"goods": ["stock"], "orders": ["order", "other"]})
    source = BundleSource(msgspec.structs.replace(shop._bundle, topology=one), "shop")
    state = await view_at(source, narrow)
    orders = [agent for agent in await shop.agents() if agent.type == "order"]
    assert state.value["count"] == len(orders) == 3
    assert set(state.frontier.sequences) == {"shop-journal-orders"}


async def test_a_replica_that_goes_back_there_holds_the_same(
    own_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    totals = View("totals", version=1, by=ORMap[LexCounter], total=LexCounter)

    @totals.on_event
    def deposited(view: Fields, event: Deposited, at: At) -> None:
        view.by[at.agent.key].add(event.amount)
        view.total.add(event.amount)

    async with connect(own_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account_type()]):
            for amount in range(1, 8):
                await asyncio.gather(*(moon.ask(f"account/{k}", Deposit(amount)) for k in "ab"))
        source = ServerSource(moon.bus)
        (journal,) = await source.journals()
        async with Replica(moon, totals, tmp_path / "x.db") as replica:
            await replica.wait_for(moon.token)
            for sequence in (1, 5, 14):
                cut = await cut_behind(source, journal.stream, sequence)
                await replica.seek(Frontier({journal.stream: sequence}))
                assert (await view_at(source, totals, cut)).value == replica.value


async def test_a_record_that_can_t_be_read_is_an_error_unless_a_repair_leaves_it_out(
    shop: BundleSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = shop._bundle
    streams = []
    for held in bundle.streams:
        messages = list(held.messages)
        if held.name.endswith("goods"):
            messages[1] = msgspec.structs.replace(messages[1], data=b"\xff garbage")
        streams.append(msgspec.structs.replace(held, messages=messages))
    broken = BundleSource(msgspec.structs.replace(bundle, streams=streams), "broken")
    with pytest.raises(Corrupt):
        await view_at(broken, moves)
    assert await view_at(broken, moves, await cut_behind(shop, "shop-journal-goods", 1))

    async def skips(*_: Any) -> Any:
        return {2: Skip(2, "record")}

    monkeypatch.setattr(broken, "skips", skips)
    assert (await view_at(broken, moves)).value["of"]


VIEW = """
from moonlet.projections import At, Fields, LexCounter, View
from tests.replay.shop import Placed

placed = View("placed", version=1, count=LexCounter)

@placed.on_event
def counted(view: Fields, event: Placed, at: At) -> None:
    view.count.add(1)
"""


def test_the_command(shop_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "placed.py").write_text(VIEW)
    rest = ("--bundle", str(shop_file), "--module", "placed.py", "--module", "tests.replay.shop")

    def told(*arguments: str) -> Any:
        return invoke("view", "placed", "get", *arguments, *rest, "--json")

    (now,) = told().records
    (first,) = told("count", "--at", "order/a@1").records
    assert (now["value"], first["value"]) == ({"count": 3}, 1)
    assert first["frontier"]["shop-journal-orders"] == 1 and first["lowered"] == []
    for time, count in (("2999-01-01", 3), ("2001-01-01", 0)):
        (then,) = told("--time", time).records
        assert then["value"]["count"] == count
    assert told("--at", "order/a@1", "--time", "08:00").code == 2
    assert told("--at", "order/nobody@1").code == 2
    assert told("--at", "order/a@0").code == 2
    assert told("--time", "yesterday").code == 2
    assert told("nothing").code == 2
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["placed.py"]
