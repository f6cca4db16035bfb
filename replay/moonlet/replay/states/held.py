"""A state at a revision, and a fold that goes on from it."""

from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.deciding import initial_state
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.memory import NOTHING_KEPT


class StateAt(msgspec.Struct, frozen=True):
    """An agent's state after a revision; sequence, time and digest are its last commit's.

    Of revision 0 sequence and time are 0, and there is no digest.
    """

    agent: AgentId
    revision: int
    sequence: int
    time: Timestamp
    digest: str
    state: Any


def state_of(agent: AgentId, fold: Fold[Any]) -> StateAt:
    """What a fold has come to."""
    return StateAt(agent, fold.revision, fold.sequence, fold.time, fold.digest, fold.state)


def fold_from(agent_type: AgentType[Any], held: StateAt | None) -> Fold[Any]:
    """A fold that goes on behind `held`, or begins before the first commit. Nobody decides on it.

    Raises `Undecodable` if the type can't make its initial state.
    """
    fold: Fold[Any] = Fold(initial_state(agent_type) if held is None else held.state)
    fold.past = NOTHING_KEPT
    if held is not None:
        fold.revision, fold.sequence = held.revision, held.sequence
        fold.digest, fold.time = held.digest, held.time
    return fold
