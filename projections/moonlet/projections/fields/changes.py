"""Which keys changed at which sequence of one journal: a log that is cut off at its old end.

Sixteen bytes a change, where a dictionary takes seventy a key. A key that changed often stands in
it often, until it is compacted.
"""

from array import array
from bisect import bisect_right
from collections.abc import Collection, Mapping


class Changes:
    """Keys in the order of the sequences at which they changed. Its owner bounds its length."""

    __slots__ = ("keys", "sequences")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.sequences = array("Q")

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, fresh: Mapping[str, int]) -> None:
        """Note keys and their sequences, in any order, but none before what is noted."""
        ordered = sorted(fresh, key=fresh.__getitem__)
        self.keys += ordered
        self.sequences.extend(map(fresh.__getitem__, ordered))

    def add_all(self, keys: Collection[str], sequence: int) -> None:
        """Note many keys at one sequence, not before what is noted."""
        self.keys += keys
        self.sequences.extend([sequence] * len(keys))

    def since(self, sequence: int) -> list[str]:
        """Keys that changed after `sequence`; one that changed often may stand there often."""
        return self.keys[bisect_right(self.sequences, sequence) :]

    def compact(self) -> None:
        """Keep the last change of each key."""
        last = dict(zip(self.keys, self.sequences, strict=True))
        if len(last) < len(self.keys):
            self.keys, self.sequences = [], array("Q")
            self.add(last)

    def forget(self, count: int) -> int:
        """Drop the `count` oldest changes, one at least; returns the newest sequence dropped."""
        newest = self.sequences[count - 1]
        del self.keys[:count], self.sequences[:count]
        return newest
