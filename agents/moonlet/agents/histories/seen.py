"""Which commands a verification has met: any number of them, on disk beyond a few."""

from hashlib import blake2b
from mmap import mmap
from tempfile import TemporaryFile
from typing import Final

IN_MEMORY: Final = 65_536
"""Commands that are kept in memory; beyond, all go to a file that nobody else sees."""

KEY: Final = 16
_EMPTY: Final = bytes(KEY)


class SeenSet:
    """A set of texts, by 16 bytes of their hash; in the file an open-addressing table of them.

    The table doubles when it is two thirds full, so a command takes 24 to 48 bytes of disk. The
    file has no name: it is gone with the process, however that ends. Raises `OSError` if there is
    no room for it where temporary files go.
    """

    def __init__(self) -> None:
        self._few: set[bytes] = set()
        self._table: mmap | None = None
        self._slots = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *words: str) -> bool:
        """Note these words; whether they are new."""
        key = blake2b("\n".join(words).encode(), digest_size=KEY).digest()
        if self._table is None:
            if key in self._few:
                return False
            self._few.add(key)
            self._count += 1
            if self._count >= IN_MEMORY:
                self._grow()
            return True
        at = self._find(key)
        if self._table[at : at + KEY] == key:
            return False
        self._table[at : at + KEY] = key
        self._count += 1
        if self._count * 3 >= self._slots * 2:
            self._grow()
        return True

    def _find(self, key: bytes) -> int:
        """Where the key is, or would be."""
        table, slots = self._table, self._slots
        assert table is not None
        slot = int.from_bytes(key[:8], "little") % slots
        while True:
            found = table[slot * KEY : (slot + 1) * KEY]
            if found in (key, _EMPTY):
                return slot * KEY
            slot = (slot + 1) % slots

    def _grow(self) -> None:
        """A table of twice the size, with all that is there."""
        old, few = self._table, self._few
        self._slots = max(4 * len(few), 2 * self._slots)
        with TemporaryFile(prefix="moonlet-verify-") as file:
            file.truncate(self._slots * KEY)
            table = self._table = mmap(file.fileno(), self._slots * KEY)
        keys = few if old is None else (old[i : i + KEY] for i in range(0, len(old), KEY))
        for key in keys:
            if key != _EMPTY:
                at = self._find(key)
                table[at : at + KEY] = key
        self._few = set()
        if old is not None:
            old.close()
