"""Commands from the seed, of the messages that the world's agents take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from moonlet.agents import AgentType, Client, PerformFailed
from moonlet.core.errors import InvalidSettings
from moonlet.core.ids import AgentId
from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.seed import Dice
from moonlet.simulations.workload.drawing import draw

KEYS: Final = 5
"""Agents of each type that commands are drawn for, unless they are named."""

Maker = Callable[[Dice], Any]


class Workload:
    """`world.workload`. What is drawn depends on the seed, and on what was drawn before.

    `count` is how many commands were drawn. A profile may bound them by `limit` (0: no bound), and
    does when a failure is shrunk: then there are no more, and a test that draws them ends sooner.
    """

    def __init__(self, agents: Sequence[AgentType[Any]], dice: Dice, limit: int = 0) -> None:
        self._agents = agents
        self._dice = dice
        self._limit = limit
        self.count = 0

    def commands(
        self,
        count: int,
        *,
        agents: Sequence[str] = (),
        only: Sequence[type[Any]] = (),
        fields: Mapping[str, Sequence[Any]] | None = None,
        make: Mapping[type[Any], Maker] | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Up to `count` pairs of an agent's id and a command of a class that it takes.

        `agents` are ids to draw from (default: five of each type), `only` the classes. `fields` are
        values for fields of these names, in whatever class: `{"to": world.workload.ids()}`. `make`
        makes commands of a class from dice. Raises `InvalidSettings` where nothing can be drawn.
        """
        ids = list(agents) or self.ids()
        choices = {agent: self._classes(agent, only) for agent in ids}
        chosen = [agent for agent in ids if choices[agent]]
        if not chosen:
            raise InvalidSettings("none of the agents takes a command of these classes")
        drawn: dict[str, Maker] = {
            name: lambda dice, values=tuple(values): dice.pick(values)  # type: ignore[misc]
            for name, values in (fields or {}).items()
        }
        for _ in range(count):
            if self._limit and self.count >= self._limit:
                return
            self.count += 1
            agent = self._dice.pick(chosen)
            cls = self._dice.pick(choices[agent])
            maker = (make or {}).get(cls)
            yield agent, maker(self._dice) if maker else draw(cls, self._dice, drawn)

    def pairs(self, count: int, *, agents: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
        """Up to `count` pairs of different agents' ids."""
        ids = list(agents) or self.ids()
        if len(set(ids)) < 2:
            raise InvalidSettings("pairs need two agents at least")
        for _ in range(count):
            if self._limit and self.count >= self._limit:
                return
            self.count += 1
            source, target = self._dice.sample(ids, 2)
            yield source, target

    async def run(
        self, moon: Client, count: int, *, between: Duration = "200ms", **options: Any
    ) -> None:
        """Tell `count` commands one after the other, up to `between` apart; `options` as above."""
        apart = nanoseconds(between)
        for agent, command in self.commands(count, **options):
            await moon.tell(agent, command)
            await asyncio.sleep(self._dice.between(0, apart) / 1_000_000_000)

    def ids(self, keys: int = KEYS) -> list[str]:
        """Ids of `keys` agents of each type of the world: account/a0, account/a1 …"""
        return [f"{t.name}/a{number}" for t in self._agents for number in range(keys)]

    def _classes(self, agent: str, only: Sequence[type[Any]]) -> list[type[Any]]:
        """The classes of commands that the agent takes, in the order of their handlers."""
        name = AgentId.parse(agent).type
        found = next((t for t in self._agents if t.name == name), None)
        if found is None:
            raise InvalidSettings(f"{agent}: the world runs no agents of the type {name}")
        classes = [handler.message.cls for handler in found.behavior.commands.values()]
        wanted = [cls for cls in classes if cls in only] if only else classes
        return [cls for cls in wanted if cls is not PerformFailed or cls in only]
