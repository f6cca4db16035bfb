"""Recorded commands, decided again by today's code: equal, or the first thing that is not."""

from moonlet.replay.again.asserting import assert_replays, recorded_state, told
from moonlet.replay.again.replaying import Divergent, Replayed, replay_agent, replay_all

__all__ = [
    "Divergent",
    "Replayed",
    "assert_replays",
    "recorded_state",
    "replay_agent",
    "replay_all",
    "told",
]
