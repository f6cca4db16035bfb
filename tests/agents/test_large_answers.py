"""Answers that are too large for one message: read where they stand, or refused at once."""

import time

import msgspec
import pytest

from moonlet.agents import AgentType, Decision, Host, Reply
from moonlet.core.errors import PayloadTooLarge
from moonlet.testing import MoonServer

SIZE = 1_500_000
"""Characters that no zip makes small enough; the server's limit is a mebibyte."""


class Tell(msgspec.Struct, frozen=True):
    size: int


class Told(msgspec.Struct, frozen=True):
    pass


class Look(msgspec.Struct, frozen=True):
    size: int


class State(msgspec.Struct, frozen=True):
    told: int = 0


def talker() -> AgentType[State]:
    agent_type = AgentType("talker", State, partitions=1)

    @agent_type.on_command
    def tell(state: State, command: Tell) -> Decision:
        yield Told()
        yield Reply("x" * command.size)

    @agent_type.on_event
    def told(state: State, event: Told) -> State:
        return State(state.told + 1)

    @agent_type.on_query
    def look(state: State, query: Look) -> str:
        return "x" * query.size

    return agent_type


async def test_a_reply_too_large_for_a_message_is_read_where_it_stands(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon, Host(moon, [talker()]):
        begun = time.monotonic()
        assert len(await moon.ask("talker/a", Tell(SIZE), timeout=20)) == SIZE
        assert len(await moon.ask("talker/a", Tell(SIZE), timeout=20, id="mine")) == SIZE
        # The same again: its outcome is looked up.
        assert len(await moon.ask("talker/a", Tell(SIZE), timeout=20, id="mine")) == SIZE
        assert time.monotonic() - begun < 15
        assert (await moon.state("talker/a")).told == 2


async def test_the_answer_of_a_query_too_large_for_a_message_is_refused_at_once(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon, Host(moon, [talker()]):
        begun = time.monotonic()
        with pytest.raises(PayloadTooLarge, match=r"answer takes 15\d+ bytes.*ask for less"):
            await moon.query("talker/a", Look(SIZE), timeout=20)
        assert time.monotonic() - begun < 10
        assert len(await moon.query("talker/a", Look(10))) == 10
