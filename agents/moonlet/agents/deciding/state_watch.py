"""States are values: who changes one in place is found, by looking at some before and after."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from moonlet.agents.definition import AgentType
from moonlet.core.behavior import Decision
from moonlet.core.digest import canonical
from moonlet.core.envelope import Envelope

WATCH_FIRST: Final = 3
"""The first so many of each handler are watched."""

WATCH_EVERY: Final = 256
"""Then one of so many, and of so many sixteenths of the state's bytes if these are more."""


def picture(agent_type: AgentType[Any], state: Any) -> bytes:
    """The state's bytes, which change with it; none for one that has none."""
    for encode in (agent_type.encode_state, canonical):
        try:
            return encode(state)
        except BaseException:  # nothing is awaited here: it is the class's own
            continue
    return b""


class StateWatch:
    """Made by a partition's owner; `told(agent, handlers)` is called of a state that was changed.

    `due` counts down by the message's name, so that what only one handler in a thousand does is
    found too; whoever calls a handler counts, and below 0 takes a picture before and hands it in.
    """

    __slots__ = ("_seen", "_told", "_type", "due")

    def __init__(self, agent_type: AgentType[Any], told: Callable[[str, str], None]) -> None:
        self._type = agent_type
        self._told = told
        self._seen: dict[str, int] = {}
        self.due = dict.fromkeys((*agent_type.behavior.commands, *agent_type.queries), 0)

    def before(self, state: Any) -> bytes:
        """What the state is before the handler runs."""
        return picture(self._type, state)

    def decided(
        self, command: Envelope, decision: Decision[Any], state: Any, before: bytes
    ) -> None:
        """A command was decided on `state`: is it what it was?"""
        behavior = self._type.behavior
        handlers = [behavior.commands[command.name].function.__name__]
        handlers += [behavior.events[event.name].function.__name__ for event in decision.events]
        self._look(command.agent, command.name, dict.fromkeys(handlers), state, before)

    def answered(self, agent: str, query: str, state: Any, before: bytes) -> None:
        """A query was answered from `state`: is it what it was?"""
        handler = self._type.queries[query].function.__name__
        self._look(agent, query, [handler], state, before)

    def _look(
        self, agent: str, name: str, handlers: Iterable[str], state: Any, before: bytes
    ) -> None:
        seen = self._seen[name] = self._seen.get(name, 0) + 1
        if seen >= WATCH_FIRST:
            self.due[name] = max(WATCH_EVERY, len(before) // 16)
        if picture(self._type, state) != before:
            self._told(agent, ", ".join(handlers))
