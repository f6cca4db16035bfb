"""Where all chance of a run comes from: one number, many independent sources.

Only integers are drawn: `gauss` and `expovariate` go through the platform's libm and may differ
in the last bit. `random.Random(str)` (SHA-512, then MT19937's 32-bit words) and BLAKE2b are the
same on every platform and Python; what is built on them here doesn't change, or old seeds would
stop meaning what they meant.
"""

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

T = TypeVar("T")

MILLION = 1_000_000
KEYED_BITS = 64
_WORD = (1 << KEYED_BITS) - 1


class Dice:
    """One sequence of draws. Draws of other dice never shift it."""

    __slots__ = ("_bits",)

    def __init__(self, name: str) -> None:
        self._bits = Random(name).getrandbits

    def below(self, bound: int) -> int:
        """An integer in [0, bound), each as likely."""
        assert bound > 0, bound
        width = (bound - 1).bit_length()
        while width:
            drawn = self._bits(width)
            if drawn < bound:
                return drawn
        return 0

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, ppm: int) -> bool:
        """True in `ppm` of a million draws. Always one draw, also for 0 and a million."""
        return self.below(MILLION) < ppm

    def pick(self, items: Sequence[T]) -> T:
        """One of the items, each as likely."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All items in a drawn order (Fisher and Yates)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items in a drawn order."""
        return self.shuffled(items)[:count]

    def octets(self, count: int) -> bytes:
        """`count` bytes."""
        return self._bits(8 * count).to_bytes(count, "big") if count else b""


class Seed:
    """One number that decides everything."""

    __slots__ = ("_dice", "_keyed", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._dice: dict[str, Dice] = {}
        self._keyed = blake2b(f"{number}/".encode(), digest_size=KEYED_BITS // 8)

    def __repr__(self) -> str:
        return f"Seed({self.number})"

    def dice(self, name: str) -> Dice:
        """The dice of that name: the same object, and so one sequence, for the whole run."""
        found = self._dice.get(name)
        if found is None:
            found = self._dice[name] = Dice(f"{self.number}/{name}")
        return found

    def keyed(self, link: str, key: str, attempt: int = 0) -> int:
        """An integer in [0, 2**64) for that thing alone: it has no place in a sequence.

        So what else was drawn, and whether another fault was removed, doesn't change it. Scale
        it with `within`.
        """
        state = self._keyed.copy()
        state.update(f"{len(link)}:{link}{attempt}:{key}".encode())
        return int.from_bytes(state.digest(), "big")


def within(drawn: int, bound: int) -> int:
    """A keyed integer scaled to [0, bound)."""
    return drawn * bound >> KEYED_BITS


def mixed(drawn: int) -> int:
    """The next of a keyed integer's own sequence: for the next try of the same thing.

    Steele, Lea and Flood's SplitMix64; the state is the output, so equal inputs go on equally.
    """
    drawn = (drawn + 0x9E3779B97F4A7C15) & _WORD
    drawn = ((drawn ^ drawn >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    drawn = ((drawn ^ drawn >> 27) * 0x94D049BB133111EB) & _WORD
    return drawn ^ drawn >> 31
