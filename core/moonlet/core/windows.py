"""Sender windows: which of a sender's numbers an agent has committed.

The idea is that of Kafka's idempotent producer and of IPsec's anti-replay window (RFC 4303
§3.4.3). An agent sends its numbers in order per receiver and lane, so its highest number is exact
for ever. A client may have 1,024 numbers in flight, so its window is the highest and a bitmap.
"""

from typing import Final

WINDOW: Final = 1_024
"""How many of a client's numbers may be in flight to one agent and lane."""

SENDERS: Final = 4_096
"""How many (sender, lane) windows an agent remembers: those heard most recently."""

_MASK: Final = (1 << WINDOW) - 1


def sent_by_agent(sender: str) -> bool:
    """Whether the sender is an agent (`type/key`) and not a client's session."""
    return "/" in sender


class Windows:
    """The windows of one agent, a fold of its commits: equal commits give equal windows."""

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], tuple[int, int]] = {}
        """(sender, lane) → (highest, bitmap); insertion order is the order of last hearing.

        Bit i of the bitmap is number highest - i; agents keep no bitmap. To be read only: what is
        above the highest was never heard of.
        """

    def has(self, sender: str, lane: str, number: int) -> bool:
        """Whether `number` was committed, or is too old to be still in flight."""
        window = self.of.get((sender, lane))
        if window is None:
            return False
        highest, bits = window
        if number > highest:
            return False
        if sent_by_agent(sender):
            return True
        behind = highest - number
        return behind >= WINDOW or bool(bits >> behind & 1)

    def add(self, sender: str, lane: str, number: int) -> None:
        """Note a committed number; the windows heard least recently are forgotten."""
        key = sender, lane
        window = self.of.pop(key, None)
        highest, bits = window if window is not None else (0, 0)
        if sent_by_agent(sender):
            self.of[key] = (max(highest, number), 0)
        elif number - highest >= WINDOW:
            self.of[key] = (number, 1)
        elif number > highest:
            self.of[key] = (number, (bits << (number - highest) | 1) & _MASK)
        else:
            behind = highest - number
            self.of[key] = (highest, bits | (1 << behind if behind < WINDOW else 0))
        if len(self.of) > SENDERS:
            del self.of[next(iter(self.of))]

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
