"""States that are kept on the way through a history, so that a random point of it is near."""

from bisect import bisect_right, insort
from collections import OrderedDict
from typing import Any, Final, Protocol

from moonlet.agents import AgentType
from moonlet.core.ids import AgentId
from moonlet.replay.states.held import StateAt
from moonlet.streams import Skips

KEPT_MAX: Final = 20_000
"""States of one agent that are kept in memory; beyond, every second one is let go."""

AGENTS_KEPT: Final = 16
"""Agents whose states are kept in memory; the ones opened longest ago go first."""


class AgentKeyframes(Protocol):
    """The kept states of one agent, by its code as it is and with its repairs as they are."""

    def nearest(self, revision: int) -> StateAt | None:
        """The last one not later than `revision`; whoever uses it checks its digest."""
        ...

    def keep(self, held: StateAt) -> None:
        """Keep this one too, if it is worth its room."""
        ...

    def drop(self) -> None:
        """Forget them all: one was of another history."""
        ...

    def flush(self) -> None:
        """What was kept shall last."""
        ...


class Keyframes(Protocol):
    """Where states are kept: in memory, or in the file of an index."""

    def of(self, agent_type: AgentType[Any], agent: AgentId, skips: Skips) -> AgentKeyframes:
        """Those of one agent that are valid for this code and these repairs."""
        ...


class MemoryKeyframes:
    """Keeps states as they are, which share what did not change, while somebody holds it.

    Whoever opens a timeline again with the same one finds what was folded before.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[AgentId, tuple[AgentType[Any], Skips, _InMemory]] = OrderedDict()

    def of(self, agent_type: AgentType[Any], agent: AgentId, skips: Skips) -> AgentKeyframes:
        """Those that were kept, if code and repairs are the same."""
        known = self._known.pop(agent, None)
        if known is None or known[0] is not agent_type or known[1] != skips:
            known = agent_type, skips, _InMemory()
        self._known[agent] = known
        while len(self._known) > AGENTS_KEPT:
            self._known.popitem(last=False)
        return known[2]


class _InMemory:
    def __init__(self) -> None:
        self._kept: list[StateAt] = []

    def nearest(self, revision: int) -> StateAt | None:
        behind = bisect_right(self._kept, revision, key=_revision)
        return self._kept[behind - 1] if behind else None

    def keep(self, held: StateAt) -> None:
        known = self.nearest(held.revision)
        if known is None or known.revision != held.revision:
            insort(self._kept, held, key=_revision)
            if len(self._kept) > KEPT_MAX:
                del self._kept[::2]

    def drop(self) -> None:
        self._kept.clear()

    def flush(self) -> None:
        pass


def _revision(held: StateAt) -> int:
    return held.revision
