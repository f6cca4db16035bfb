"""Goal 9 of the reference: eight faults of identity and delivery, refused before a wrong read."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from moonlet.core.errors import Conflict, Unavailable
from moonlet.core.frontier import Frontier
from moonlet.projections import InvalidDatabase, JournalFault, Replica, View
from moonlet.projections.errors import DeltaRefused
from moonlet.projections.exchange import apply_delta, make_delta
from moonlet.projections.view import ViewState
from moonlet.streams.server.server_process import ServerProcess
from tests.faulty import until, until_true
from tests.projections.authors import FIELDS, Authors, Opened, World, exposure_view

DAYS_WORK = 4


async def write(world: World, journal: str, count: int = DAYS_WORK, usd: int = 1) -> Frontier:
    """That many commits; returns the frontier behind them."""
    sequence = 0
    for _ in range(count):
        sequence = await world.authors.append(f"{journal}/a", Opened("aave", usd))
    return Frontier({world.stream(journal): sequence})


async def fold_all(world: World, path: Path, view: View | None = None) -> None:
    """A file that holds everything that is written in `us`."""
    async with Replica(world.moon, view or exposure_view(), path) as replica:
        end = await world.js.stream_info(world.stream("us"))
        assert end is not None
        await replica.wait_for(Frontier({world.stream("us"): end["state"]["last_seq"]}))


async def refusal(world: World, path: Path) -> JournalFault:
    """What opening the file raises."""
    with pytest.raises(JournalFault) as caught:
        async with Replica(world.moon, exposure_view(), path):
            pytest.fail("it was opened")
    assert "backup" in str(caught.value)
    return caught.value


async def replace_stream(world: World, journal: str, **settings: Any) -> None:
    """Delete a journal and create it anew, as by hand: without protection."""
    name = world.stream(journal)
    await world.js.request(f"$JS.API.STREAM.DELETE.{name}", b"", timeout=5)
    await world.js.create_stream(
        {
            "name": name,
            "subjects": [f"{world.topology.prefix}.evt.{journal}.*"],
            "allow_atomic": True,
            "allow_direct": True,
            **settings,
        }
    )
    world.authors = Authors(world.moon.bus)


class Store:
    """A server's store on disk, which can be put back."""

    def __init__(self, server: ServerProcess, tmp_path: Path) -> None:
        self._server = server
        self._data = tmp_path / "server0" / "data"
        self._backup = tmp_path / "backup"

    def save(self) -> None:
        self._server.stop()
        shutil.copytree(self._data, self._backup)
        self._server.start()

    def put_back(self) -> None:
        self._server.kill()
        shutil.rmtree(self._data)
        shutil.copytree(self._backup, self._data)
        self._server.start()


async def connected(world: World) -> None:
    """Wait for the reconnect, which the client begins when it has noticed the loss."""

    async def answered() -> bool:
        try:
            return await world.js.stream_info(world.stream("us")) is not None
        except Unavailable:
            return False

    await until_true(answered)


async def test_a_journal_created_anew_is_refused(world: World, tmp_path: Path) -> None:
    await write(world, "us")
    await fold_all(world, tmp_path / "v.db")
    await replace_stream(world, "us")
    await write(world, "us", 2 * DAYS_WORK)
    assert (await refusal(world, tmp_path / "v.db")).fault == "re-created"


async def test_a_journal_created_anew_under_a_reader_is_noticed_before_a_wrong_read(
    world: World, tmp_path: Path
) -> None:
    token = await write(world, "us", usd=100)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(token)
        await replace_stream(world, "us")
        await write(world, "us", 3 * DAYS_WORK)
        await until(lambda: replica.failure is not None)
        with pytest.raises(JournalFault) as caught:
            _ = replica.value
        assert caught.value.fault == "re-created"
        with pytest.raises(JournalFault):
            await replica.wait_for(token)
        with pytest.raises(JournalFault):
            await replica.retry()


async def test_a_journal_that_went_back_is_refused(
    own_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    async with World(own_server.url, name) as world:
        store = Store(own_server, tmp_path)
        await write(world, "us")
        store.save()
        await connected(world)
        await write(world, "us")
        await fold_all(world, tmp_path / "v.db")
        store.put_back()
        await connected(world)
        fault = await refusal(world, tmp_path / "v.db")
        assert (fault.fault, fault.sequence) == ("rolled back", 2 * DAYS_WORK)


async def test_a_journal_that_went_back_and_grew_is_refused(
    own_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    async with World(own_server.url, name) as world:
        store = Store(own_server, tmp_path)
        await write(world, "us")
        store.save()
        await connected(world)
        await write(world, "us")
        async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
            await replica.wait_for(Frontier({world.stream("us"): 2 * DAYS_WORK}))
            store.put_back()
            await connected(world)
            world.authors = Authors(world.moon.bus)
            for _ in range(3 * DAYS_WORK):
                await world.authors.append("us/b", Opened("aave", 1_000))
            await until(lambda: replica.failure is not None)
            with pytest.raises(JournalFault) as caught:
                replica.read("total")
            assert caught.value.fault == "rolled back and grown"
        assert (await refusal(world, tmp_path / "v.db")).fault == "rolled back and grown"


async def test_a_hole_between_frontier_and_journal_is_refused(world: World, tmp_path: Path) -> None:
    await replace_stream(world, "us")
    await write(world, "us")
    await fold_all(world, tmp_path / "v.db")
    await write(world, "us", 2 * DAYS_WORK)
    purge = f"$JS.API.STREAM.PURGE.{world.stream('us')}"
    await world.js.request(purge, b'{"keep": 2}', timeout=5)
    fault = await refusal(world, tmp_path / "v.db")
    assert (fault.fault, fault.sequence) == ("retention hole", DAYS_WORK)


def narrowed(name: str) -> View:
    """The same view by name and version, reading one agent type only."""
    only = View("exposure", version=1, **FIELDS)
    for handler in exposure_view().handlers:
        only.on_event(handler.function, source=name)
    return only


async def test_a_file_and_a_delta_of_another_filter_are_refused(
    world: World, tmp_path: Path
) -> None:
    token = await write(world, "us")
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "all.db") as all_,
        Replica(world.moon, narrowed("us"), tmp_path / "us.db") as us,
    ):
        await all_.wait_for(token)
        await us.wait_for(token)
        await refused_of(all_, us, "filter")
    with pytest.raises(InvalidDatabase, match="other journals"):
        async with Replica(world.moon, narrowed("us"), tmp_path / "all.db"):
            pytest.fail("it was opened")


async def test_a_file_and_a_delta_of_another_version_are_refused(
    world: World, tmp_path: Path
) -> None:
    token = await write(world, "us")
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "1.db") as old,
        Replica(world.moon, exposure_view(version=2), tmp_path / "2.db") as new,
    ):
        await old.wait_for(token)
        await new.wait_for(token)
        await refused_of(old, new, "version")
    with pytest.raises(InvalidDatabase, match="exposure@1"):
        async with Replica(world.moon, exposure_view(version=2), tmp_path / "1.db"):
            pytest.fail("it was opened")


async def refused_of(a: Replica, b: Replica, fault: str) -> None:
    """Their heartbeats are refused by each other, and so would a delta be."""
    for one, other in ((a, b), (b, a)):
        assert one._lifecycle.tasks is not None
        refused = one._lifecycle.tasks.exchange.refused
        await until(lambda refused=refused: refused[fault] > 0)  # type: ignore[misc]
        fresh = ViewState(one.view, one._lifecycle.held().state.journals.ids)
        with pytest.raises(DeltaRefused) as caught:
            apply_delta(fresh, make_delta(other._lifecycle.held().state))
        assert caught.value.fault == fault
        assert not any(fresh.vector)


@pytest.mark.parametrize("lost", [{3}, {8}, {2, 5, 8}], ids=["inner", "last", "several"])
async def test_deliveries_lost_on_the_way_are_fetched_again(
    world: World, tmp_path: Path, lost: set[int]
) -> None:
    moon, hurt = await world.hurt_client()
    hurt.lose = set(lost)
    token = await write(world, "us", 8)
    async with Replica(moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(token, timeout=10)
        assert replica.value["total"] == 8
        assert set(hurt.lost) == lost


async def test_a_commit_published_twice_is_stored_and_counted_once(
    world: World, tmp_path: Path
) -> None:
    await write(world, "us", 3)
    world.authors._last["us/a"] = (2, 2, world.authors._last["us/a"][2])
    with pytest.raises(Conflict):
        await world.authors.append("us/a", Opened("aave", 1))
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        await replica.wait_for(Frontier({world.stream("us"): 3}))
        assert replica.value["total"] == 3
        assert replica.frontier.at(world.stream("us")) == 3
