"""How far someone has seen: stream → last sequence. The causal context of replicas and clients."""

from collections.abc import Mapping

import msgspec


class Frontier(msgspec.Struct, frozen=True):
    """An immutable map from stream name to the last sequence seen in it (inclusive).

    Streams of which nothing was seen are left out and the rest is sorted, so equal frontiers have
    equal bytes.
    """

    sequences: dict[str, int] = {}

    def __post_init__(self) -> None:
        seen = {stream: n for stream, n in sorted(self.sequences.items()) if n > 0}
        msgspec.structs.force_setattr(self, "sequences", seen)

    def at(self, stream: str) -> int:
        """The last sequence seen in `stream`; 0 if nothing was."""
        return self.sequences.get(stream, 0)

    def advanced(self, stream: str, sequence: int) -> "Frontier":
        """This frontier with `sequence` seen too; never goes back."""
        if sequence <= self.at(stream):
            return self
        return Frontier({**self.sequences, stream: sequence})

    def merged(self, other: "Frontier") -> "Frontier":
        """The least frontier that covers both."""
        merged = dict(self.sequences)
        for stream, sequence in other.sequences.items():
            if sequence > merged.get(stream, 0):
                merged[stream] = sequence
        return Frontier(merged)

    def covers(self, other: "Frontier") -> bool:
        """Whether everything that `other` has seen is seen here."""
        return all(self.at(stream) >= n for stream, n in other.sequences.items())

    @classmethod
    def of(cls, sequences: Mapping[str, int]) -> "Frontier":
        """From any mapping; negative sequences are a mistake of ours."""
        assert all(n >= 0 for n in sequences.values())
        return cls(dict(sequences))
