"""What waits for one agent to decide it: a queue for each lane, taken from by weight."""

from collections import deque
from itertools import islice
from typing import Final

from moonlet.agents.deciding.queued_command import QueuedCommand
from moonlet.core.ids import LANES

WEIGHTS: Final = (64, 16, 4, 1)
"""Turns that the lanes have of each other, from critical to low."""


class WaitingCommands:
    """Commands in order within each lane. Nearly nothing while empty: a queue takes 600 bytes."""

    __slots__ = ("_lanes", "_turns", "count")

    def __init__(self) -> None:
        self.count = 0
        self._lanes: list[deque[QueuedCommand] | None] | None = None
        self._turns: list[int] | None = None

    def add(self, queued: QueuedCommand) -> None:
        """The last of its lane."""
        self._lane(queued.lane).append(queued)
        self.count += 1

    def put_back(self, queued: QueuedCommand) -> None:
        """The first of its lane again."""
        self._lane(queued.lane).appendleft(queued)
        self.count += 1

    def _lane(self, lane: int) -> deque[QueuedCommand]:
        lanes = self._lanes
        if lanes is None:
            lanes = self._lanes = [None] * len(LANES)
            self._turns = list(WEIGHTS)
        waiting = lanes[lane]
        if waiting is None:
            waiting = lanes[lane] = deque()
        return waiting

    def take(self) -> QueuedCommand:
        """The next: of the highest lane that has one and turns left; 64 : 16 : 4 : 1.

        There must be one: see `count`.
        """
        lanes, turns = self._lanes, self._turns
        assert lanes is not None and turns is not None
        for _ in range(2):
            for lane, waiting in enumerate(lanes):
                if waiting and turns[lane]:
                    turns[lane] -= 1
                    self.count -= 1
                    if not self.count:
                        self._lanes = self._turns = None
                    return waiting.popleft()
            turns[:] = WEIGHTS
        raise AssertionError("the count is wrong")

    def first(self, most: int) -> list[QueuedCommand]:
        """Up to so many of each lane, in order; they stay."""
        return [queued for lane in self._lanes or () for queued in islice(lane or (), most)]

    @property
    def urgency(self) -> int:
        """The highest lane in which something waits, 0 for critical; high if nothing does."""
        for lane, waiting in enumerate(self._lanes or ()):
            if waiting:
                return lane
        return LANES.index("high")

    def peek(self) -> QueuedCommand | None:
        """What `take` would give; it stays."""
        if not self.count:
            return None
        turns = self._turns
        queued = self.take()
        self.put_back(queued)
        if self._turns is turns and turns is not None:
            turns[queued.lane] += 1
        return queued


def lane_index(lane: str) -> int:
    """The place of a lane in order of priority, critical first."""
    return LANES.index(lane)
