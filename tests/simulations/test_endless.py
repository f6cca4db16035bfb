"""A step that never ends: named with its agent, command, handler and line, and the run fails."""

import msgspec
import pytest

from moonlet.agents import AgentType, Decision
from moonlet.simulations import World, faults
from moonlet.simulations.errors import EndlessStep
from moonlet.simulations.run import step_watch
from moonlet.simulations.scenario import Scenario
from moonlet.testing import given


class Spin(msgspec.Struct, frozen=True):
    where: str


class Spun(msgspec.Struct, frozen=True):
    where: str


class Spins(msgspec.Struct, frozen=True):
    count: int = 0


spinner = AgentType("spinner", Spins)


@spinner.on_command
def spin(state: Spins, command: Spin) -> Decision:
    while command.where == "handler":
        pass
    while command.where == "caught":
        try:
            for_ever()
        except BaseException:
            return
    yield Spun(command.where)


def for_ever() -> None:
    while True:
        pass


@spinner.on_event
def spun(state: Spins, event: Spun) -> Spins:
    while event.where == "fold":
        pass
    return Spins(state.count + 1)


def scenario(where: str) -> Scenario:
    async def body(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("spinner/a", Spin(where))
            await world.settle()

    return Scenario(
        name=f"{__name__}:{where}", body=body, agents=(spinner,), faults=faults.none(), hosts=1
    )


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("handler", r"Spin of spinner/a, in the command handler .*spin .* at .*test_endless.py:"),
        ("caught", r"Spin of spinner/a, in the command handler .*spin .* at .*test_endless.py:"),
        ("fold", r"the event handler .*spun has not ended"),
    ],
)
def test_a_step_that_never_ends_is_named_and_ended(
    where: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_watch, "LIMIT", 0.3)
    monkeypatch.setattr(step_watch, "POLL", 0.05)
    run = scenario(where).run(0)
    assert isinstance(run.error, EndlessStep)
    with pytest.raises(EndlessStep, match=told):
        run.check()


def test_a_run_with_short_steps_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_watch, "LIMIT", 0.3)
    monkeypatch.setattr(step_watch, "POLL", 0.001)
    first, second = (scenario("nowhere").run(0) for _ in range(2))
    assert first.error is None and first.digest == second.digest
    given(spinner).when(Spin("nowhere")).then(events=[Spun("nowhere")])
