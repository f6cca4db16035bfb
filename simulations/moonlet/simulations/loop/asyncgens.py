"""The async generators of a loop, in the order in which they were first iterated.

asyncio keeps them in a `WeakSet`, which iterates by address. This has the four methods of it
that `BaseEventLoop` uses.
"""

import weakref
from collections.abc import AsyncGenerator, Iterator
from typing import Any, TypeAlias

from moonlet.simulations.loop.node import LIFE, Life

Generator: TypeAlias = AsyncGenerator[Any, Any]

SWEEP_MIN = 256


class AsyncGenerators:
    """Weak, ordered, and each with the life that began it."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[Generator], Life | None]] = {}
        self._sweep_at = SWEEP_MIN

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Generator]:
        for ref, _ in list(self._kept.values()):
            agen = ref()
            if agen is not None:
                yield agen

    def add(self, agen: Generator) -> None:
        """Know a generator that is first iterated now."""
        self._kept.pop(id(agen), None)  # an address used again must not inherit a place
        self._kept[id(agen)] = (weakref.ref(agen), LIFE.get(None))
        if len(self._kept) > self._sweep_at:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0]() is not None}
            self._sweep_at = max(SWEEP_MIN, 2 * len(self._kept))

    def forget(self, agen: Generator) -> Life | None:
        """Drop a generator; the life that began it, or None for the driver's."""
        return self._kept.pop(id(agen), (None, None))[1]

    def clear(self) -> None:
        """Drop all."""
        self._kept.clear()
