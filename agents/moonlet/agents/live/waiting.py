"""What waits for one agent to decide it: a queue for each lane, taken from by weight."""

from collections import deque
from typing import TYPE_CHECKING, Final

from moonlet.core.ids import LANES
from moonlet.streams import Intake

if TYPE_CHECKING:
    from moonlet.agents.deciding.decide import QueuedCommand

WEIGHTS: Final = (64, 16, 4, 1)
"""Turns that the lanes have of each other, from critical to low."""


Held = tuple[int, Intake, int, str]
"""What an agent keeps of a delivery that it reads back later: lane, intake, sequence, reply."""


class Waiting:
    """Items in order within each lane. Nearly nothing while empty: a queue takes 600 bytes."""

    __slots__ = ("_lanes", "_turns", "count")

    def __init__(self) -> None:
        self.count = 0
        self._lanes: list[deque[QueuedCommand] | None] | None = None
        self._turns: list[int] | None = None

    def add(self, lane: int, item: "QueuedCommand") -> None:
        """The last of its lane."""
        self._lane(lane).append(item)
        self.count += 1

    def put_back(self, lane: int, item: "QueuedCommand") -> None:
        """The first of its lane again."""
        self._lane(lane).appendleft(item)
        self.count += 1

    def _lane(self, lane: int) -> "deque[QueuedCommand]":
        lanes = self._lanes
        if lanes is None:
            lanes = self._lanes = [None] * len(LANES)
            self._turns = list(WEIGHTS)
        waiting = lanes[lane]
        if waiting is None:
            waiting = lanes[lane] = deque()
        return waiting

    def take(self) -> "tuple[int, QueuedCommand] | None":
        """The next: of the highest lane that has one and turns left; 64 : 16 : 4 : 1."""
        lanes, turns = self._lanes, self._turns
        if not self.count or lanes is None or turns is None:
            self._lanes = self._turns = None
            return None
        for _ in range(2):
            for lane, waiting in enumerate(lanes):
                if waiting and turns[lane]:
                    turns[lane] -= 1
                    self.count -= 1
                    return lane, waiting.popleft()
            turns[:] = WEIGHTS
        raise AssertionError("the count is wrong")

    def peek(self) -> "QueuedCommand | None":
        """What `take` would give; it stays."""
        taken = self.take()
        if taken is None:
            return None
        lane, item = taken
        self.put_back(lane, item)
        assert self._turns is not None
        self._turns[lane] += 1
        return item


def lane_index(lane: str) -> int:
    """The place of a lane in order of priority, critical first."""
    return LANES.index(lane)
