"""What the layers above ask of the outside: time and chance, always by argument."""

from typing import Protocol


class Clock(Protocol):
    """Where time comes from. Waiting is asyncio's, whose loop a simulation replaces."""

    def now_us(self) -> int:
        """Wall time in microseconds since 1970, UTC; may jump either way."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unnamed start; never goes back."""
        ...


class Entropy(Protocol):
    """Where chance comes from."""

    def token(self) -> str:
        """A fresh name of 22 characters of the id grammar, 128 bits of chance."""
        ...

    def uniform(self) -> float:
        """A number in [0, 1), for jitter."""
        ...
