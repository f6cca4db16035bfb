"""An agent type whose calls do outside whatever a test says."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from moonlet.agents import AgentType, Client, Decision, Host, Perform, PerformFailed, Reply
from moonlet.testing import MoonServer
from tests.faulty import until_true


class Do(msgspec.Struct, frozen=True):
    """Have a call done: `how` says what it does."""

    how: str


class Call(msgspec.Struct, frozen=True):
    """The call."""

    how: str
    filling: str = ""


class Slow(msgspec.Struct, frozen=True):
    """A call for the handler that is no coroutine."""

    how: str


class Done(msgspec.Struct, frozen=True):
    """Its result."""

    what: str


class Count(msgspec.Struct, frozen=True):
    """A command that has nothing to do with calls."""


class Heard(msgspec.Struct, frozen=True):
    """What came of a call."""

    text: str


class Failed(msgspec.Struct, frozen=True):
    """A failure, as the agent had it."""

    error: str
    kind: str
    type: str
    attempts: int
    call: str


class Log(msgspec.Struct, frozen=True):
    """All of it."""

    heard: tuple[str, ...] = ()
    failed: tuple[Failed, ...] = ()


def caller_type(
    does: Callable[..., Any],
    blocks: Callable[[str], Any] = lambda how: None,
    *,
    name: str = "caller",
    **options: Any,
) -> AgentType[Log]:
    """`does` is awaited with what `Do` says and the call's id, `blocks` is called."""
    policy: dict[str, Any] = {key: options.pop(key) for key in list(options) if key != "max_calls"}
    caller = AgentType(name, Log, partitions=1, **options)

    @caller.on_command
    def do(state: Log, command: Do) -> Decision:
        if command.how.startswith("block"):
            yield Perform(Slow(command.how))
        else:
            yield Perform(Call(command.how, "x" * 1_000))

    @caller.on_command
    def count(state: Log, command: Count) -> Decision:
        yield Reply(len(state.heard))

    @caller.on_perform(**policy)  # type: ignore[untyped-decorator]
    async def perform(call: Call, call_id: str) -> Done:
        result: Done = await does(call.how, call_id)
        return result

    @caller.on_perform(**policy)  # type: ignore[untyped-decorator]
    def slowly(call: Slow) -> Done:
        result: Done = blocks(call.how)
        return result

    @caller.on_command
    def done(state: Log, command: Done) -> Decision:
        yield Heard(command.what)

    @caller.on_command
    def failed(state: Log, command: PerformFailed) -> Decision:
        assert isinstance(command.call, Call | Slow)
        cause, how = command.cause, command.call.how
        yield Failed(command.error, cause.kind, cause.type, command.attempts, how)

    @caller.on_event
    def heard(state: Log, event: Heard) -> Log:
        return Log((*state.heard, event.text), state.failed)

    @caller.on_event
    def noted(state: Log, event: Failed) -> Log:
        return Log(state.heard, (*state.failed, event))

    return caller


@asynccontextmanager
async def calling(
    moon_server: MoonServer, caller: AgentType[Log], **options: Any
) -> AsyncIterator[Client]:
    """A host that runs it, and a client."""
    async with moon_server.connect(agents=[caller]) as moon, Host(moon, [caller], **options):
        yield moon


async def ended(moon: Client, agent: str, count: int) -> Log:
    """The agent's state once so many of its calls have ended."""

    async def have() -> bool:
        state = await moon.state(agent)
        return len(state.heard) + len(state.failed) >= count

    await until_true(have)
    state: Log = await moon.state(agent)
    return state
