"""What is accepted but not stored yet: the members of a batch, and what a cluster replicates."""

from moonlet.simulations.jetstream.refusals import refused


class Writes:
    """What is being written to one subject: messages, bytes, and whether the last is a schedule."""

    __slots__ = ("bytes", "messages", "schedule")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.schedule = False


class Staged:
    """The effects of messages that were accepted one after another, before they are stored."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.writes: dict[str, Writes] = {}
        self.expected: dict[str, int] = {}
        self.messages = 0

    def write(self, subject: str, size: int, schedule: bool) -> Writes:
        """Note one more message; returns the subject's sum."""
        writes = self.writes.setdefault(subject, Writes())
        writes.messages += 1
        writes.bytes += size
        writes.schedule = schedule
        self.messages += 1
        return writes

    def expect(self, subject: str, sequence: int, last: int) -> None:
        """Note an expectation of `sequence` on a subject whose last one is `last`.

        Raises the refusal of one that isn't met, or contradicts another in the same batch.
        """
        if subject in self.writes:
            raise refused(10164)
        known = self.expected.get(subject)
        if known is None:
            known = last
            if last == sequence:
                self.expected[subject] = last
        if known != sequence:
            raise refused(10071, seq=known)


class InFlight:
    """What a replicated stream has proposed and its servers haven't all stored."""

    def __init__(self) -> None:
        self.writes: dict[str, Writes] = {}
        self.expected: dict[str, int] = {}
        self.messages = 0

    def add(self, staged: Staged) -> None:
        """Note what was proposed."""
        self.messages += staged.messages
        for subject, new in staged.writes.items():
            writes = self.writes.setdefault(subject, Writes())
            writes.messages += new.messages
            writes.bytes += new.bytes
            writes.schedule = new.schedule
        for subject in staged.expected:
            self.expected[subject] = self.expected.get(subject, 0) + 1

    def remove(self, staged: Staged) -> None:
        """Take away what was stored."""
        self.messages -= staged.messages
        for subject, old in staged.writes.items():
            writes = self.writes[subject]
            writes.messages -= old.messages
            writes.bytes -= old.bytes
            if not writes.messages:
                del self.writes[subject]
        for subject in staged.expected:
            self.expected[subject] -= 1
            if not self.expected[subject]:
                del self.expected[subject]

    def refuse_expectation(self, subject: str) -> None:
        """Raise if another write, or expectation, of `subject` is on its way (10164)."""
        if subject in self.expected or subject in self.writes:
            raise refused(10164)
