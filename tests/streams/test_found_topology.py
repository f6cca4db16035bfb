"""Who isn't told a topology learns it from the journals that stand on the server."""

import asyncio
from collections.abc import Callable

import pytest

from moonlet.agents import connect
from moonlet.streams import Topology, apply_topology, plan_topology, standing_topology
from moonlet.streams.server.server_process import ServerProcess
from tests.faulty import bus_over
from tests.streams.support import connected

THREE = {"growth": ["forge", "pulse"], "money": ["fuel"], "risk": ["aegis", "sage"]}

USERS = """
authorization { users: [
    { user: admin, password: secret }
    { user: client, password: secret, permissions: {
        publish: { deny: ["$JS.API.STREAM.>"] }
    } }
] }
"""


@pytest.mark.parametrize("journals", [THREE, {"main": ["*"]}, {"all": ["*"]}])
async def test_the_journals_that_were_made_are_found_as_they_were(
    shared_server: ServerProcess, name: str, journals: dict[str, list[str]]
) -> None:
    async with connected(shared_server) as js:
        assert await standing_topology(bus_over(js), name) is None
        made = Topology(journals=journals, prefix=name)
        await apply_topology(bus_over(js), made)
        found = await standing_topology(bus_over(js), name)
        assert found == made
        assert await plan_topology(bus_over(js), made) == []


async def test_a_longer_prefix_s_journals_are_not_taken_for_ours(
    shared_server: ServerProcess, name: str
) -> None:
    async with connected(shared_server) as js:
        await apply_topology(bus_over(js), Topology(prefix=f"{name}-x"))
        await apply_topology(bus_over(js), Topology(journals={"eu": ["account"]}, prefix=name))
        found = await standing_topology(bus_over(js), name)
        assert found is not None and found.journals == {"eu": ["account"]}


@pytest.mark.parametrize("subject", ["evt.*.*", "evt.a", "evt.a.*.b", "evt.a.>", "elsewhere.>"])
async def test_a_journal_of_other_subjects_is_left_to_the_plan_to_judge(
    shared_server: ServerProcess, name: str, subject: str
) -> None:
    async with connected(shared_server) as js:
        await js.create_stream({"name": f"{name}-journal-main", "subjects": [f"{name}.{subject}"]})
        assert await standing_topology(bus_over(js), name) is None
        [step] = [
            s
            for s in await plan_topology(bus_over(js), Topology(prefix=name))
            if s.action != "create"
        ]
        assert step.stream == f"{name}-journal-main"


async def test_a_client_goes_by_what_it_finds_unless_it_is_told(own_server: ServerProcess) -> None:
    async with connect(own_server.url) as moon:
        assert moon.bus.topology == Topology()
        await apply_topology(moon.bus, Topology(journals=THREE))
    async with connect(own_server.url) as moon:
        assert moon.bus.topology.journal_of("fuel") == "moon-journal-money"
    told = Topology(journals={"main": ["*"]}, prefix="other")
    async with connect(own_server.url, topology=told) as moon:
        assert moon.bus.topology is told


async def test_a_client_that_may_not_ask_goes_by_the_default_at_once(
    new_server: Callable[..., ServerProcess],
) -> None:
    server = new_server(extra=USERS)
    async with connected(server, "admin:secret") as js:
        await apply_topology(bus_over(js), Topology(journals=THREE))
    url = server.url.replace("://", "://client:secret@")
    async with asyncio.timeout(3), connect(url) as moon:
        assert moon.bus.topology == Topology()
