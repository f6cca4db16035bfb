"""A server where no host ever ran: clients are told so in plain words."""

import pytest

from moonlet.agents import AgentType, Plain, connect
from moonlet.core.errors import Unavailable, UnknownAgentType
from moonlet.streams.server.server_process import ServerProcess

ledger = AgentType("ledger", dict)


async def test_a_command_to_a_type_nobody_runs_is_refused_by_name(
    own_server: ServerProcess,
) -> None:
    async with connect(own_server.url) as moon:
        for send in (moon.tell, moon.ask, moon.query):
            with pytest.raises(UnknownAgentType, match="'ledger' is registered: start a host"):
                await send("ledger/main", Plain("Book", {}))


async def test_a_history_is_empty_and_a_state_is_the_initial_one(
    own_server: ServerProcess,
) -> None:
    async with connect(own_server.url, agents=[ledger]) as moon:
        assert [commit async for commit in moon.history("ledger/main")] == []
        assert await moon.state("ledger/main") == {}
        with pytest.raises(Unavailable, match="no journal"):
            await anext(moon.history("ledger/main", follow=True))
