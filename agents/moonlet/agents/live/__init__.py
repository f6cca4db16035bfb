"""One live agent, its phases, and the verbs by which it talks to its owner."""

from moonlet.agents.live.live_agent import QUEUE_MAX, LiveAgent
from moonlet.agents.live.owner import Landed, Owner
from moonlet.agents.live.phases import TRANSITIONS, Phase

__all__ = ["QUEUE_MAX", "TRANSITIONS", "Landed", "LiveAgent", "Owner", "Phase"]
