import msgspec

from moonlet.agents import AgentType, Decision, Host, Reply
from moonlet.testing import MoonServer


class Add(msgspec.Struct, frozen=True):
    amount: int


class Added(msgspec.Struct, frozen=True):
    amount: int


class Sum(msgspec.Struct, frozen=True):
    total: int = 0


def counter() -> AgentType[Sum]:
    adder = AgentType("adder", Sum)

    @adder.on_command
    def add(state: Sum, command: Add) -> Decision:
        yield Added(command.amount)
        yield Reply(state.total + command.amount)

    @adder.on_event
    def added(state: Sum, event: Added) -> Sum:
        return Sum(state.total + event.amount)

    return adder


async def test_the_fixture_gives_a_server_that_agents_run_on(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon, Host(moon, [counter()]):
        assert await moon.ask("adder/a", Add(2)) == 2
        assert await moon.ask("adder/a", Add(3), returns=int) == 5


async def test_the_next_test_sees_nothing_of_it(moon_server: MoonServer) -> None:
    async with moon_server.connect(encoding="msgpack") as moon, Host(moon, [counter()]):
        assert await moon.ask("adder/a", Add(2)) == 2
        assert [commit.revision async for commit in moon.history("adder/a")] == [1]
