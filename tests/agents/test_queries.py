"""Queries: acknowledged state, at least what the client has seen, equal for equal states."""

import msgspec
import pytest

from moonlet.agents import AgentType, Context, Host
from moonlet.core.errors import InvalidMessage, Rejected, UnknownCommand
from moonlet.testing import MoonServer
from tests.agents.accounts import Account, Deposit, GetBalance, account_type


class Draw(msgspec.Struct, frozen=True):
    sides: int


class Divide(msgspec.Struct, frozen=True):
    by: int


def dicing_type() -> AgentType[Account]:
    account = account_type()

    @account.on_query
    def draw(state: Account, query: Draw, context: Context) -> list[object]:
        return [context.random.randrange(query.sides), str(context.uuid()), context.now.isoformat()]

    @account.on_query
    def divide(state: Account, query: Divide) -> float:
        return state.balance / query.by

    return account


async def test_equal_states_give_equal_answers(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [dicing_type()]):
            await moon.ask("account/a", Deposit(1))
            first = await moon.query("account/a", Draw(1_000_000))
            assert await moon.query("account/a", Draw(1_000_000)) == first
        async with Host(moon, [dicing_type()]):
            assert await moon.query("account/a", Draw(1_000_000)) == first
            await moon.ask("account/a", Deposit(1))
            assert await moon.query("account/a", Draw(1_000_000)) != first


async def test_a_query_sees_what_its_client_has_caused_and_seen(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon, moon_server.connect() as other:
        async with Host(moon, [account_type()]):
            for balance in range(1, 30):
                receipt = await moon.tell("account/a", Deposit(1))
                await receipt.committed()
                assert await moon.query("account/a", GetBalance()) == balance
            stream = moon.bus.topology.journal_of("account")
            assert moon.token.at(stream) == 29 and other.token.at(stream) == 0
            assert [c.revision async for c in other.history("account/a", from_=29)] == [29]
            assert other.token == moon.token


async def test_a_query_that_fails_says_so_and_stops_nobody(moon_server: MoonServer) -> None:
    async with moon_server.connect() as hosting, moon_server.connect() as moon:
        async with Host(hosting, [dicing_type()]):
            with pytest.raises(Rejected, match="ZeroDivisionError"):
                await moon.query("account/a", Divide(0))
            with pytest.raises(InvalidMessage, match=r"\$.by"):
                await moon.query("account/a", Divide("x"))  # type: ignore[arg-type]
            with pytest.raises(UnknownCommand, match=r"it has: .*GetBalance"):
                await moon.query("account/a", Deposit(1))
            assert await moon.query("account/a", Divide(1), returns=float) == 0.0
            with pytest.raises(InvalidMessage, match="no list"):
                await moon.query("account/a", Divide(1), returns=list[int])
            assert [c async for c in moon.history("account/a")] == []
