"""The messages of one stream, by sequence and by subject."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream import subjects
from moonlet.streams.api import Headers


class StreamMessage:
    """One message as the stream holds it. `expiry` is 0 without a TTL."""

    __slots__ = ("data", "expiry", "headers", "sequence", "size", "subject", "time")

    def __init__(
        self, subject: str, headers: Headers | None, data: bytes, time: int, expiry: int
    ) -> None:
        self.sequence = 0
        self.subject = subject
        self.headers = headers
        self.data = data
        self.time = time
        self.expiry = expiry
        self.size = 0


def restored(
    sequence: int, subject: str, headers: Mapping[str, str] | None, data: bytes, time: int
) -> StreamMessage:
    """A message as another server held it, with what its headers say of its end."""
    own = dict(headers) if headers else None
    ttl = fields.ttl_seconds(own[fields.TTL]) if own and fields.TTL in own else None
    expiry = time + ttl * fields.SECOND if ttl and ttl > 0 else 0
    message = StreamMessage(subject, own, data, time, expiry)
    message.sequence = sequence
    return message


class MessageStore:
    """Sequences start at 1 and are never used twice. `first` is 0 until something was stored."""

    def __init__(self, *, file: bool) -> None:
        self.file = file
        self.messages: dict[int, StreamMessage] = {}
        self.by_subject: dict[str, list[int]] = {}
        self.first = 0
        self.last = 0
        self.bytes = 0
        self.last_time = 0

    def size(self, subject: str, headers: Headers | None, data: bytes) -> int:
        """The bytes that a message counts for, which depend on the kind of storage."""
        length = fields.size(headers)
        body = len(subject.encode()) + length + len(data)
        if not self.file:
            return body + 16
        return body + (34 if length else 30)

    def copy(self) -> "MessageStore":
        """The same messages, for who goes by them while these change."""
        other = MessageStore(file=self.file)
        other.messages = dict(self.messages)
        other.by_subject = {subject: list(same) for subject, same in self.by_subject.items()}
        other.first, other.last = self.first, self.last
        other.bytes, other.last_time = self.bytes, self.last_time
        return other

    def put_back(self, message: StreamMessage) -> None:
        """Hold a message again that was removed, at its own sequence."""
        sequence = message.sequence
        self.messages = dict(sorted([*self.messages.items(), (sequence, message)]))
        same = self.by_subject.setdefault(message.subject, [])
        same.insert(bisect_left(same, sequence), sequence)
        self.bytes += message.size
        self.first = next(iter(self.messages))

    def add(self, message: StreamMessage) -> int:
        """Store at the next sequence, which is returned."""
        self.last += 1
        sequence = message.sequence = self.last
        message.size = self.size(message.subject, message.headers, message.data)
        if not self.messages:
            self.first = sequence
        self.messages[sequence] = message
        self.by_subject.setdefault(message.subject, []).append(sequence)
        self.bytes += message.size
        self.last_time = message.time
        return sequence

    def restore(self, messages: Iterable[StreamMessage], first: int, last: int) -> None:
        """Hold what another server held: messages by their own sequences, in order."""
        assert not self.messages and not self.last
        for message in messages:
            message.size = self.size(message.subject, message.headers, message.data)
            self.messages[message.sequence] = message
            self.by_subject.setdefault(message.subject, []).append(message.sequence)
            self.bytes += message.size
            self.last_time = message.time
        self.first = next(iter(self.messages), first if last else 0)
        self.last = last

    def skip(self, time: int) -> int:
        """Use up a sequence without storing anything (interest retention without interest)."""
        self.last += 1
        self.last_time = time
        if not self.messages:
            self.first = self.last + 1
        return self.last

    def remove(self, sequence: int) -> StreamMessage | None:
        """Remove; None if there is no such message. Its sequence is never used again."""
        message = self.messages.pop(sequence, None)
        if message is None:
            return None
        self.bytes -= message.size
        same = self.by_subject[message.subject]
        if same[0] == sequence:
            del same[0]
        else:
            del same[bisect_left(same, sequence)]
        if not same:
            del self.by_subject[message.subject]
        if sequence == self.first:
            self.first += 1
            while self.first <= self.last and self.first not in self.messages:
                self.first += 1
        return message

    def misplaces_first(self, below: int) -> bool:
        """Whether the server leaves `first` behind if all below a sequence, not 0, is removed."""
        moved = self.file and 1 < self.first < below <= self.last
        return moved and max(self.messages, default=below) < below

    def lose_tail(self, count: int) -> list[StreamMessage]:
        """Forget the last `count` sequences altogether; returns the messages lost."""
        last = max(self.last - count, 0)
        lost = [m for m in map(self.remove, range(last + 1, self.last + 1)) if m is not None]
        self.last = last
        if not self.messages:
            self.first = last + 1 if last else 0
        return lost

    def last_of(self, subject: str) -> int:
        """The last sequence of `subject`, which may be a pattern; 0 if there is none."""
        same = self.by_subject.get(subject)
        if same is not None:
            return same[-1]
        if subjects.is_literal(subject):
            return 0
        return max((same[-1] for _, same in self.matching(subject)), default=0)

    def matching(self, pattern: str) -> Iterator[tuple[str, list[int]]]:
        """The subjects that `pattern` covers, each with its sequences."""
        if subjects.is_literal(pattern):
            if pattern in self.by_subject:
                yield pattern, self.by_subject[pattern]
            return
        tokens = pattern.split(".")
        for subject, sequences in self.by_subject.items():
            if subjects.covers(tokens, subject.split(".")):
                yield subject, sequences

    def sequences(self, patterns: tuple[str, ...], start: int) -> Iterator[int]:
        """The sequences from `start` on that one of `patterns` covers, in order; none: all.

        Don't change the store while iterating.
        """
        if not patterns or patterns == (">",):
            low = max(start, self.first)
            if low == self.first:
                return iter(self.messages)
            if (self.last - low) * 4 < len(self.messages):
                return (s for s in range(low, self.last + 1) if s in self.messages)
            return (s for s in self.messages if s >= low)
        lists = self._lists(patterns)
        tails = [islice(same, bisect_left(same, start), None) for same in lists]
        return tails[0] if len(tails) == 1 else merge(*tails)

    def count(self, patterns: tuple[str, ...], start: int) -> int:
        """How many messages `sequences` has with the same arguments."""
        if not patterns or patterns == (">",):
            if start <= self.first:
                return len(self.messages)
            return sum(1 for _ in self.sequences(patterns, start))
        return sum(len(same) - bisect_left(same, start) for same in self._lists(patterns))

    def _lists(self, patterns: tuple[str, ...]) -> list[list[int]]:
        """The sequences of each subject that one of `patterns` covers; patterns may overlap."""
        found = dict(entry for pattern in patterns for entry in self.matching(pattern))
        return list(found.values())

    def last_per_subject(self, patterns: tuple[str, ...], up_to: int = 0) -> list[int]:
        """The last sequence of each subject that one of `patterns` covers, sorted.

        Only sequences up to `up_to` are seen, if that isn't 0.
        """
        found: list[int] = []
        for same in self._lists(patterns):
            end = bisect_left(same, up_to + 1) if up_to else len(same)
            if end:
                found.append(same[end - 1])
        return sorted(found)

    def from_time(self, time: int) -> int:
        """The first sequence stored at `time` or later; last + 1 if there is none."""
        for sequence, message in self.messages.items():
            if message.time >= time:
                return sequence
        return self.last + 1
