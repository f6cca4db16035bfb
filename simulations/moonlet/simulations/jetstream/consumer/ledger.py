"""What a consumer has delivered: what is unacknowledged, what must go out again, the floors."""

from collections import OrderedDict
from collections.abc import Container
from typing import Final

ACK_SLACK: Final = 1_000_000  # ns: the server looks this much after the acknowledgement wait


class Unacknowledged:
    """A delivery that waits for its acknowledgement, counted from `since` on."""

    __slots__ = ("delivery", "since")

    def __init__(self, delivery: int, since: int) -> None:
        self.delivery = delivery
        self.since = since


class Ledger:
    """Sequences are the stream's; deliveries are counted by the consumer, from 1.

    All up to the floors is done with. `again` are redeliveries in the order they will go out;
    `repeats` says how often a message was delivered beyond the first time.
    """

    def __init__(self, sequence: int, *, ack: str, max_deliver: int, wait: int) -> None:
        self.ack = ack
        self.max_deliver = max_deliver
        self.wait = wait
        self.sequence = sequence  # the next to be looked at
        self.delivery = 1  # the next delivery's number
        self.floor = sequence - 1
        self.delivery_floor = 0
        self.pending: dict[int, Unacknowledged] = {}
        self.again: OrderedDict[int, None] = OrderedDict()
        self.repeats: dict[int, int] = {}

    def delivered(self, sequence: int, now: int) -> int:
        """Note a delivery; returns its number."""
        number = self.delivery
        self.delivery += 1
        if self.ack == "none":
            self.delivery_floor, self.floor = number, sequence
            return number
        known = self.pending.get(sequence)
        if known is None:
            self.pending[sequence] = Unacknowledged(number, now)
        else:
            known.since = now
        return number

    def acknowledge(self, sequence: int, delivery: int) -> list[int]:
        """Acknowledge one delivery (or all up to it); returns the sequences that are done.

        An acknowledgement of what was never delivered does nothing.
        """
        if sequence >= self.sequence or self.ack == "none":
            return []
        if self.ack == "all":
            return self._acknowledge_all(sequence, delivery)
        done = self.pending.pop(sequence, None)
        if done is not None:
            self._move_floor(done.delivery, sequence)
        self.repeats.pop(sequence, None)
        self.again.pop(sequence, None)
        return [sequence]

    def _acknowledge_all(self, sequence: int, delivery: int) -> list[int]:
        if delivery <= self.delivery_floor or sequence <= self.floor:
            return []
        self.delivery_floor, self.floor = delivery, sequence
        done = [known for known in self.pending if known <= sequence]
        for known in done:
            del self.pending[known]
            self.repeats.pop(known, None)
            self.again.pop(known, None)
        return [sequence, *(known for known in done if known != sequence)]

    def _move_floor(self, delivery: int, sequence: int) -> None:
        if not self.pending:
            self.delivery_floor, self.floor = self.delivery - 1, self.sequence - 1
        elif delivery == self.delivery_floor + 1:
            self.delivery_floor, self.floor = delivery, sequence
            for later in range(sequence + 1, self.sequence):
                known = self.pending.get(later)
                if known is not None:
                    self.delivery_floor, self.floor = known.delivery - 1, later - 1
                    break

    def in_range(self, sequence: int, delivery: int) -> bool:
        """Whether a refusal of this delivery is to be taken seriously."""
        if delivery <= self.delivery_floor or delivery > self.delivery:
            return False
        return sequence in self.pending

    def repeat(self, sequence: int) -> int:
        """Count one more delivery of `sequence`; returns which one it is."""
        self.repeats[sequence] = self.repeats.get(sequence, 0) + 1
        return self.repeats[sequence] + 1

    def unrepeat(self, sequence: int) -> None:
        """Take back a `repeat` that wasn't delivered."""
        repeats = self.repeats.get(sequence, 0)
        if repeats > 1:
            self.repeats[sequence] = repeats - 1
        else:
            self.repeats.pop(sequence, None)

    def give_up(self, sequence: int) -> None:
        """The message was delivered as often as it may be: it isn't waited for any more."""
        known = self.pending.pop(sequence, None)
        if known is not None:
            self._move_floor(known.delivery, sequence)

    def _is_exhausted(self, sequence: int) -> bool:
        repeats = max(self.repeats.get(sequence, 1), 1)
        if self.max_deliver < 1 or repeats < self.max_deliver:
            return False
        self.give_up(sequence)
        self.repeats[sequence] = repeats
        return True

    def expire(self, now: int, first: int) -> tuple[bool, bool, int | None]:
        """Queue what waited too long, `first` being the stream's first sequence.

        Returns whether there is something to deliver again, whether something was given up, and
        when to look next (None: never).
        """
        given_up = False
        next_look = self.wait + ACK_SLACK
        expired: list[int] = []
        for sequence, known in list(self.pending.items()):
            if sequence < first or sequence <= self.floor:
                self.drop(sequence)
                self.floor = max(self.floor, sequence)
                self.delivery_floor = max(self.delivery_floor, known.delivery)
                continue
            waited = now - known.since
            if waited < self.wait:
                next_look = min(next_look, self.wait - waited)
            elif sequence not in self.again:
                if self._is_exhausted(sequence):
                    given_up = True
                else:
                    expired.append(sequence)
        if expired:
            expired.sort()
            late = now - self.pending[expired[0]].since
            for sequence in expired:
                self.again[sequence] = None
                self.pending[sequence].since += late
        if self.pending:
            return bool(expired), given_up, now + next_look
        self.again.clear()
        self.delivery_floor, self.floor = self.delivery - 1, self.sequence - 1
        return bool(expired), given_up, None

    def drop(self, sequence: int) -> None:
        """Forget all about one message."""
        self.pending.pop(sequence, None)
        self.repeats.pop(sequence, None)
        self.again.pop(sequence, None)

    def purged(self, start: int, exists: Container[int] | None) -> None:
        """The stream was purged and now starts at `start`, as far as the consumer sees it.

        `exists` holds the sequences that are left, if some pending ones may still be there. As in
        the server, queued redeliveries are forgotten until their wait is over.
        """
        self.sequence = max(self.sequence, start)
        if self.floor < start:
            self.floor = start - 1
            for sequence, known in list(self.pending.items()):
                if sequence <= self.floor or (exists is not None and sequence not in exists):
                    if known.delivery > self.delivery_floor:
                        self.delivery_floor = known.delivery
                        self.delivery = max(self.delivery, known.delivery)
                    del self.pending[sequence]
                    self.repeats.pop(sequence, None)
        if not self.pending:
            self.repeats.clear()
            self.delivery_floor, self.floor = self.delivery - 1, self.sequence - 1
        kept = [sequence for sequence in self.again if sequence >= self.sequence]
        self.again = OrderedDict.fromkeys(kept)

    def forget_redelivered_below(self, first: int) -> None:
        """Forget the deliveries counted for messages before the stream's first."""
        for sequence in [known for known in self.repeats if known < first]:
            del self.repeats[sequence]
            self.again.pop(sequence, None)

    def needs(self, sequence: int) -> bool:
        """Whether the message must be kept for this consumer (interest, work queue)."""
        if sequence > self.floor:
            if self.ack != "explicit" or sequence >= self.sequence or sequence in self.pending:
                return True
        return sequence in self.repeats

    def lost_tail(self, last: int) -> None:
        """The stream lost all after `last` (power loss): as the server reconciles at its start."""
        if self.floor > last:
            self.floor = last
            self.delivery_floor = max(self.delivery - 1, 0)
            self.pending.clear()
            self.repeats.clear()
        for sequence in [known for known in self.pending if known > last]:
            del self.pending[sequence]
        for sequence in [known for known in self.repeats if known > last]:
            del self.repeats[sequence]
        if self.pending:
            self.sequence = max(self.pending) + 1
            self.delivery = max(known.delivery for known in self.pending.values()) + 1
        else:
            self.sequence, self.delivery = self.floor + 1, self.delivery_floor + 1
