"""Sorted runs: what an agent counted and no longer has in memory, in pages that are looked up.

A fact is one sender's window, or one id with its commit. It stands under 16 bytes of its hash, so
a run is sorted by them, cut into pages; of a page only its first key and three bytes of each other
stay in memory. The shape is that of a log-structured merge tree (O'Neil et al. 1996).
"""

from bisect import bisect_right
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import InvalidMessage
from moonlet.core.memory.windows import Window, joined_windows

PAGE_FACTS: Final = 512
"""Facts of one page."""

PAGE_BYTES: Final = 24_576
"""Bytes of one page from which it takes no further fact; one takes at most 150."""

KEY: Final = 16
PRINT: Final = 3
"""Bytes of a key, and of what is kept of it in memory: 1 of 30,000 unknown ones is looked up."""

Key = bytes

Fact = tuple[int, bytes]
"""Of a sender: its highest number and bitmap. Of an id: its commit's sequence, and body digest."""


class Page(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A page as stored: sorted keys, one after the other, and their facts."""

    keys: bytes
    facts: list[Fact]


_PAGES: Final = Codec[Page](Page, "msgpack")


def window_key(sender: str, lane: str) -> Key:
    """Under which a sender's window stands."""
    return blake2b(f"{sender}|{lane}".encode(), digest_size=KEY, person=b"sender").digest()


def id_key(id: str) -> Key:
    """Under which an id stands."""
    return blake2b(id.encode(), digest_size=KEY, person=b"id").digest()


def fact_of(window: Window) -> Fact:
    """A window as a fact."""
    highest, bits = window
    return highest, bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def window_of(fact: Fact) -> Window:
    """The window that `fact_of` saw."""
    return fact[0], int.from_bytes(fact[1], "little")


def joined(one: Fact | None, other: Fact | None) -> Fact | None:
    """What two facts of one key say together. Those of an id are equal: it has one commit."""
    if one is None or other is None or one == other:
        return other if one is None else one
    return fact_of(joined_windows(window_of(one), window_of(other)))


def items(page: bytes) -> list[tuple[Key, Fact]]:
    """All of a page, sorted; raises `InvalidMessage` if it is none."""
    found = _opened(page)
    keys = found.keys
    return [(keys[i * KEY : (i + 1) * KEY], fact) for i, fact in enumerate(found.facts)]


def find(page: bytes, key: Key) -> Fact | None:
    """The fact of a key in its page; raises `InvalidMessage` if it is none."""
    found = _opened(page)
    low, high = 0, len(found.facts)
    while low < high:
        middle = (low + high) // 2
        if found.keys[middle * KEY : (middle + 1) * KEY] < key:
            low = middle + 1
        else:
            high = middle
    if low < len(found.facts) and found.keys[low * KEY : (low + 1) * KEY] == key:
        return found.facts[low]
    return None


def _opened(page: bytes) -> Page:
    found = _PAGES.decode(page)
    if len(found.keys) != KEY * len(found.facts):
        raise InvalidMessage(f"a page of {len(found.facts)} facts has {len(found.keys)} key bytes")
    return found


class Upto(msgspec.Struct, frozen=True, array_like=True):
    """A commit: all that commits up to it pushed out of memory is there."""

    revision: int = 0
    sequence: int = 0
    digest: str = ""


class SortedRun:
    """One run. Stored under `name`, or with its `pages` in memory and no name yet.

    `fences` are the first keys of its pages, `prints` three bytes of each key of a page; without
    `prints` any key may be in it.
    """

    __slots__ = ("count", "fences", "name", "pages", "prints", "upto")

    def __init__(
        self,
        name: str,
        count: int,
        fences: list[Key],
        prints: list[bytes] | None,
        pages: list[bytes] | None,
        upto: Upto,
    ) -> None:
        self.name = name
        self.count = count
        self.fences = fences
        self.prints = prints
        self.pages = pages
        self.upto = upto

    def page_of(self, key: Key) -> int:
        """The number of the page that may hold the key; -1 if none does."""
        page = bisect_right(self.fences, key) - 1
        if page < 0 or self.prints is None:
            return page
        prints, wanted = self.prints[page], _print(key)
        at = prints.find(wanted)
        while at >= 0:
            if at % PRINT == 0:
                return page
            at = prints.find(wanted, at + 1)
        return -1


def _print(key: Key) -> bytes:
    return key[8 : 8 + PRINT]


class RunBuilder:
    """Makes a run of facts that come sorted, no key twice: `add` gives a page when one is full."""

    def __init__(self) -> None:
        self.count = 0
        self.fences: list[Key] = []
        self.prints: list[bytes] = []
        self._keys: list[Key] = []
        self._facts: list[Fact] = []
        self._bytes = 0

    def add(self, key: Key, fact: Fact) -> bytes | None:
        """Take the next fact; returns the page that it filled."""
        self._keys.append(key)
        self._facts.append(fact)
        self._bytes += KEY + len(fact[1]) + 8
        if len(self._keys) >= PAGE_FACTS or self._bytes >= PAGE_BYTES:
            return self.flush()
        return None

    def flush(self) -> bytes | None:
        """The last page; None if there is nothing in it."""
        keys, facts = self._keys, self._facts
        if not keys:
            return None
        self.count += len(keys)
        self.fences.append(keys[0])
        self.prints.append(b"".join(map(_print, keys)))
        self._keys, self._facts, self._bytes = [], [], 0
        return _PAGES.encode_known(Page(b"".join(keys), facts))


def make_run(facts: Iterator[tuple[Key, Fact]], upto: Upto) -> SortedRun:
    """A run in memory of sorted facts."""
    builder = RunBuilder()
    pages = [page for key, fact in facts if (page := builder.add(key, fact)) is not None]
    last = builder.flush()
    if last is not None:
        pages.append(last)
    return SortedRun("", builder.count, builder.fences, builder.prints, pages, upto)
