"""What agents held at a moment: one, many, or all by a cut in which no effect lacks its cause."""

from moonlet.replay.states.cut import Cut, cut_at
from moonlet.replay.states.folding import StateAt, Timeline, states_at
from moonlet.replay.states.plain import plain_state

__all__ = ["Cut", "StateAt", "Timeline", "cut_at", "plain_state", "states_at"]
