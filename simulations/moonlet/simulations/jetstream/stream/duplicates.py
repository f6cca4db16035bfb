"""The message ids that a stream remembers, so that a repeated publish stores nothing."""


class Duplicates:
    """By id over the whole stream. Ids outlive their messages, but not a restart."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._known: dict[str, tuple[int, int]] = {}

    def add(self, id: str, sequence: int, now: int) -> None:
        """Remember `id`; sequence 0 says that its message is being stored."""
        self._known.pop(id, None)
        self._known[id] = (sequence, now)

    def find(self, id: str, now: int) -> int | None:
        """The sequence of the message with this id; None if it isn't remembered."""
        known = self._known
        while known:
            oldest = next(iter(known))
            if now - known[oldest][1] < self.window:
                break
            del known[oldest]
        found = known.get(id)
        return None if found is None else found[0]

    def forget(self, id: str) -> None:
        """Forget `id`, if it is known."""
        self._known.pop(id, None)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
