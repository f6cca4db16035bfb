"""For tests: golden histories that today's code must decide as they were decided."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from moonlet.agents import AgentType
from moonlet.core.errors import Invalid
from moonlet.replay.again.replaying import Replayed, replay_all
from moonlet.replay.points import resolve
from moonlet.replay.sources import BundleSource, HistorySource
from moonlet.replay.states import StateAt, state_at

T = TypeVar("T")


def assert_replays(history: Path | str | HistorySource, *types: AgentType[Any]) -> int:
    """Decide a recorded history again; returns how many commands were.

    `history` is a bundle (`moonlet sim import FILE`). Raises `AssertionError` with the first
    divergence of each agent, and if there is nothing of these types in it: a test that can't fail.
    """
    __tracebackhide__ = True
    source = _opened(history) if isinstance(history, Path | str) else history
    by_name = {agent_type.name: agent_type for agent_type in types}
    replayed = _run(replay_all(source, by_name))
    decided = sum(each.decided for each in replayed)
    missing = sorted(set(by_name) - {each.agent.partition("/")[0] for each in replayed})
    if missing or not decided:
        names = ", ".join(missing or sorted(by_name)) or "no agent type"
        raise AssertionError(f"{source.description} holds no command that {names} decided")
    parted = [told(each) for each in replayed if each.divergent is not None]
    if parted:
        raise AssertionError("\n".join([f"{len(parted)} histories come out otherwise", *parted]))
    return decided


def recorded_state(
    history: Path | str | HistorySource, agent_type: AgentType[Any], point: str
) -> StateAt:
    """The state of a recorded history at a point, like `account/alice@17`; in any loop or none.

    Raises `Invalid` for points that are not there or of another type's agent, and as reading does.
    """
    source = _opened(history) if isinstance(history, Path | str) else history

    async def read() -> StateAt:
        at = await resolve(source, point)
        if at.agent.type != agent_type.name:
            raise Invalid(f"{at} is of agent type {at.agent.type}, not of {agent_type.name}")
        return await state_at(source, agent_type, at.agent, at.revision)

    return _run(read())


def told(replayed: Replayed) -> str:
    """A divergence in a few lines, for people."""
    found = replayed.divergent
    assert found is not None
    lines = [f"{found.agent}@{found.revision} {found.command}: {found.message}"]
    if found.handler:
        lines.append(f"  decided by {found.handler}")
    lines += [f"  {change}" for change in found.changes[:10]]
    return "\n".join(lines)


def _opened(file: Path | str) -> HistorySource:
    from moonlet.simulations.bundle import read_bundle  # 100 ms

    return BundleSource(read_bundle(Path(file))[0], str(file))


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Its result, in whatever loop or none: a bundle never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    coroutine.close()
    raise TypeError("a bundle is read here; of a server await replay_all or state_at instead")
