"""Sender windows: which of a sender's numbers an agent has committed.

The idea is that of Kafka's idempotent producer and of IPsec's anti-replay window (RFC 4303
§3.4.3). An agent sends its numbers in order per receiver and lane, so its highest number is exact
for ever. A client may have 1,024 numbers in flight, so its window is the highest and a bitmap.
"""

from typing import Final

WINDOW: Final = 1_024
"""How many of a client's numbers may be in flight to one agent and lane; the most that its next
number may be above the highest that was committed."""

SENDERS: Final = 4_096
"""How many (sender, lane) windows an agent has in memory: those heard most recently."""

_MASK: Final = (1 << WINDOW) - 1

DOUBTED: Final = 1 << WINDOW
"""The bit of a client's window that says: a number of it was not believed, so ask for ids too."""

Window = tuple[int, int]
"""Highest number and bitmap: bit i is number highest - i. Agents keep no bitmap."""


def sent_by_agent(sender: str) -> bool:
    """Whether the sender is an agent (`type/key`) and not a client's session."""
    return "/" in sender


def holds(window: Window, sender: str, number: int) -> bool:
    """Whether `number` was committed, or is too old to be still in flight."""
    highest, bits = window
    if number > highest:
        return False
    if sent_by_agent(sender):
        return True
    behind = highest - number
    return behind >= WINDOW or bool(bits >> behind & 1)


def joined_windows(one: Window, other: Window) -> Window:
    """What two windows of one sender say together; in any order, and twice, the same."""
    if one[0] < other[0]:
        one, other = other, one
    behind = one[0] - other[0]
    bits = (other[1] & _MASK) << behind & _MASK if behind < WINDOW else 0
    return one[0], one[1] | bits | (other[1] & DOUBTED)


class Windows:
    """The windows of one agent that are in memory, a fold of its commits."""

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], Window] = {}
        """(sender, lane) → window; insertion order is the order of last hearing.

        To be read only: what is above the highest was never heard of since it came to memory.
        """

    def has(self, sender: str, lane: str, number: int) -> bool:
        """Whether `number` was committed, or is too old to be still in flight, as far as known."""
        window = self.of.get((sender, lane))
        return window is not None and holds(window, sender, number)

    def add(self, sender: str, lane: str, number: int) -> tuple[tuple[str, str], Window] | None:
        """Note a committed number; returns the window heard least recently, if it had to leave."""
        key = sender, lane
        window = self.of.pop(key, None)
        highest, bits = window if window is not None else (0, 0)
        if sent_by_agent(sender):
            self.of[key] = (max(highest, number), 0)
        elif number - highest >= WINDOW:
            self.of[key] = (number, 1 | (bits & DOUBTED))
        elif number > highest:
            moved = (bits << (number - highest) | 1) & _MASK
            self.of[key] = (number, moved if bits <= _MASK else moved | DOUBTED)
        else:
            behind = highest - number
            self.of[key] = (highest, bits | (1 << behind if behind < WINDOW else 0))
        return self._least_recent() if len(self.of) > SENDERS else None

    def doubt(self, sender: str, lane: str) -> tuple[tuple[str, str], Window] | None:
        """A number of this client was not believed; returns what had to leave, as `add` does."""
        key = sender, lane
        highest, bits = self.of.pop(key, (0, 0))
        self.of[key] = highest, bits | DOUBTED
        return self._least_recent() if len(self.of) > SENDERS else None

    def _least_recent(self) -> tuple[tuple[str, str], Window]:
        key = next(iter(self.of))
        return key, self.of.pop(key)

    def __len__(self) -> int:
        return len(self.of)

    def dump(self) -> list[tuple[str, int, str]]:
        """Plain data for a snapshot, in order of last hearing."""
        return [
            (f"{sender}|{lane}", highest, f"{bits:x}")
            for (sender, lane), (highest, bits) in self.of.items()
        ]

    @classmethod
    def load(cls, rows: list[tuple[str, int, str]]) -> "Windows":
        """The windows that `dump` gave."""
        windows = cls()
        for key, highest, bits in rows:
            sender, _, lane = key.rpartition("|")
            windows.of[sender, lane] = highest, int(bits, 16)
        return windows
