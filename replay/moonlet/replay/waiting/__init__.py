"""What agents wait for, now: queues, timers, calls, what is parked, what stops them."""

from moonlet.replay.waiting.waiting import Queue, WaitsFor, waiting_agents, waiting_of

__all__ = ["Queue", "WaitsFor", "waiting_agents", "waiting_of"]
