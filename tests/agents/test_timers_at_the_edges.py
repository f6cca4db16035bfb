"""Timers and deadlines at the edges of time, and firings that no timer was set for."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from moonlet.agents import AgentType, Cancel, Context, Decision, Host, Schedule
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Expired, InvalidSettings
from moonlet.core.fold import call_id
from moonlet.core.ids import AgentId
from moonlet.streams import encode_envelope
from moonlet.testing import MoonServer
from tests.faulty import until_true

EAST, WEST = timezone(timedelta(hours=14)), timezone(-timedelta(hours=14))
NEVER = {
    "last": datetime.max.replace(tzinfo=UTC),
    "last, west": datetime.max.replace(tzinfo=WEST),
    "2262": datetime(2262, 6, 1, tzinfo=UTC),
    "2300": datetime(2300, 1, 1, tzinfo=UTC),
    "2800": datetime(2800, 1, 1, tzinfo=UTC),
}
PAST = {
    "first": datetime.min.replace(tzinfo=UTC),
    "first, east": datetime.min.replace(tzinfo=EAST),
    "1816": datetime(1816, 3, 29, tzinfo=UTC),
    "1969": datetime(1969, 12, 31, tzinfo=UTC),
}
MOMENTS = {**NEVER, **PAST}


class Wake(msgspec.Struct, frozen=True):
    """Set a timer for the moment of that name."""

    when: str


class Later(msgspec.Struct, frozen=True):
    """Set a timer in so many seconds."""

    after: float


class Woken(msgspec.Struct, frozen=True):
    """A timer's firing, and its event."""

    when: str


class Forget(msgspec.Struct, frozen=True):
    """Cancel the timer."""


class Log(msgspec.Struct, frozen=True):
    """What has fired."""

    woken: tuple[str, ...] = ()


def sleeper_type() -> AgentType[Log]:
    """An agent that sets timers."""
    sleeper = AgentType("sleeper", Log, partitions=1)

    @sleeper.on_command
    def wake(state: Log, command: Wake) -> Decision:
        yield Schedule(Woken(command.when), at=MOMENTS[command.when], name="n")

    @sleeper.on_command
    def later(state: Log, command: Later) -> Decision:
        yield Schedule(Woken("later"), after=command.after, name="n")

    @sleeper.on_command
    def forget(state: Log, command: Forget, context: Context) -> Decision:
        yield Cancel("n")

    @sleeper.on_command
    def woken(state: Log, command: Woken) -> Decision:
        yield command

    @sleeper.on_event
    def noted(state: Log, event: Woken) -> Log:
        return Log((*state.woken, event.when))

    return sleeper


async def test_a_timer_at_any_moment_is_kept_or_due_and_its_agent_goes_on(
    moon_server: MoonServer,
) -> None:
    sleeper = sleeper_type()
    keys = {when: f"sleeper/k{number}" for number, when in enumerate(MOMENTS)}
    async with moon_server.connect(agents=[sleeper]) as moon:
        async with Host(moon, [sleeper], lease=1):
            for when, key in keys.items():
                await moon.ask(key, Wake(when))

            async def past_fired() -> bool:
                return all([(await moon.state(keys[when])).woken == (when,) for when in PAST])

            await until_true(past_fired)
        async with Host(moon, [sleeper], lease=1):  # where all open timers are looked after
            for when in NEVER:
                await moon.ask(keys[when], Later(60), timeout=10)
                await moon.ask(keys[when], Wake(when))
                assert (await moon.state(keys[when])).woken == ()
                await moon.ask(keys[when], Forget())
                assert (await moon.state(keys[when])).woken == ()


async def test_a_deadline_at_any_moment_is_judged(moon_server: MoonServer) -> None:
    sleeper = sleeper_type()
    async with moon_server.connect(agents=[sleeper]) as moon, Host(moon, [sleeper]):
        for deadline in (*PAST.values(), datetime(1970, 1, 1, tzinfo=UTC)):
            with pytest.raises(Expired):
                await moon.ask("sleeper/a", Forget(), deadline=deadline)
        for deadline in NEVER.values():
            await moon.ask("sleeper/a", Forget(), deadline=deadline)
        with pytest.raises(InvalidSettings, match="give an aware datetime"):
            await moon.ask("sleeper/a", Forget(), deadline=datetime(2030, 1, 1))


async def test_a_timer_fires_only_the_command_that_it_was_set_for(moon_server: MoonServer) -> None:
    """Whoever may write to the timers' stream can make nothing else of one, nor keep it away."""
    sleeper = sleeper_type()
    async with moon_server.connect(agents=[sleeper]) as moon, Host(moon, [sleeper]):
        bus, agent = moon.bus, AgentId.parse("sleeper/a")
        await moon.ask("sleeper/a", Later(2.5))
        stream, subject = bus.topology.stream("timers"), bus.subjects.timer(agent, "n", 1)

        async def stands() -> bool:
            return await bus._js.last_message(stream, subject) is not None

        await until_true(stands)
        fire = bus.subjects.fire(agent, await moon.registry.home("sleeper"))
        id = call_id("sleeper/a", 1, 0)

        def forged(id: str, name: str, body: bytes, version: int = 1) -> bytes:
            envelope = Envelope(
                id=id, agent="sleeper/a", name=name, body=msgspec.Raw(body), version=version,
                lane="high", sender="sleeper/a", number=1, timer="n",
            )  # fmt: skip
            return encode_envelope(envelope, "json", bus.command_limit)[0]

        for data in (
            forged(id, "Woken", b'{"when":"forged"}'),
            forged(id, "Forget", b"{}"),
            forged("mine", "Woken", b'{"when":"later"}'),
            forged(id, "Woken", b'{"when":"later"}', 7),
        ):
            await bus.publish(fire, data, timeout=5)
        soon = (datetime.now(UTC) + timedelta(seconds=0.3)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        headers = {"Nats-Schedule": f"@at {soon}", "Nats-Schedule-Target": fire}
        data = forged(id, "Woken", b'{"when":"in its place"}')
        await bus.publish(subject, data, headers=headers, timeout=5)

        async def fired() -> bool:
            return bool((await moon.state("sleeper/a")).woken)

        await until_true(fired)
        await asyncio.sleep(0.3)  # sleeps: a second firing would come at once
        commits = [commit async for commit in moon.history("sleeper/a")]
        assert [commit.command.name for commit in commits] == ["Later", "Woken"]
        assert (await moon.state("sleeper/a")).woken == ("later",)
