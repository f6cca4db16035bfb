"""What hosts tell whoever watches them: each is asked by core NATS, and answers for itself."""

from moonlet.agents.watching.gathering import Gathered, gather, living_hosts
from moonlet.agents.watching.host_ear import HostEar, WatchAnswer

__all__ = ["Gathered", "HostEar", "WatchAnswer", "gather", "living_hosts"]
