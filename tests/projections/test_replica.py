"""A replica on a real server: it folds, serves, waits, and comes back from its file."""

from pathlib import Path

from moonlet.core.frontier import Frontier
from moonlet.projections import Replica
from tests.projections.authors import (
    Opened,
    Rated,
    World,
    exposure_view,
)


async def test_a_replica_folds_every_journal_and_serves_reads(world: World, tmp_path: Path) -> None:
    await world.authors.append("asia/a", Opened("aave", 5), Opened("compound", 2))
    await world.authors.append("eu/a", Opened("aave", 3))
    last = await world.authors.append("us/a", Rated("high"))
    async with Replica(world.moon, exposure_view(), tmp_path / "exposure.db") as replica:
        await replica.wait_for(
            Frontier({world.stream("asia"): 1, world.stream("eu"): 1, world.stream("us"): last})
        )
        assert replica.value == {
            "alerts": [],
            "by_protocol": {"aave": 8, "compound": 2},
            "risk": ["high"],
            "total": 10,
        }
        assert replica.read("by_protocol", "aave")[0] == 8
        seen = await world.authors.append("us/a", Opened("aave", 1))
        await replica.wait_for(Frontier({world.stream("us"): seen}))
        assert replica.value["total"] == 11
        rows = list(replica.db.query("select key, value from by_protocol order by key"))
        assert rows == [{"key": "aave", "value": 9}, {"key": "compound", "value": 2}]
        assert replica.durable == replica.frontier
