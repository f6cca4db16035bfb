"""What agents held at a moment: one, many, or all by a cut in which no effect lacks its cause."""

from moonlet.replay.states.cut import Cut, cut_at, cut_behind
from moonlet.replay.states.folding import states_at
from moonlet.replay.states.held import StateAt, fold_from
from moonlet.replay.states.keyframes import AgentKeyframes, Keyframes, MemoryKeyframes
from moonlet.replay.states.plain import plain_state
from moonlet.replay.states.timeline import SEGMENT, Timeline, state_at

__all__ = [
    "SEGMENT",
    "AgentKeyframes",
    "Cut",
    "Keyframes",
    "MemoryKeyframes",
    "StateAt",
    "Timeline",
    "cut_at",
    "cut_behind",
    "fold_from",
    "plain_state",
    "state_at",
    "states_at",
]
