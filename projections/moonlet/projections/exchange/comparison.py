"""Finding the keys in which two replicas differ, though their frontiers are equal.

That never happens unless something is wrong; then a person wants to know where. Rows are spread by
the hash of their key over a tree of sixteen branches a level; each side says what its branches add
up to, and both go down where they differ. After range-based set reconciliation (Meyer 2023), with
the hash's digits for ranges, so that no bounds need be sent.
"""

from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from itertools import accumulate
from typing import Final

import msgspec

from moonlet.projections.errors import DeltaRefused
from moonlet.projections.view import ViewState

FANOUT_BITS: Final = 4
FANOUT: Final = 1 << FANOUT_BITS
HASH_BITS: Final = 64
LEAF_ROWS: Final = 4
"""A branch of at most so many rows on one side is listed instead of split."""

MAX_BRANCHES: Final = 4_096
"""Branches in one message; of more differences only so many are followed."""

_MODULUS: Final = 1 << HASH_BITS


class Branch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The rows whose key's hash begins with `prefix` (`depth` digits).

    `sums` are those of its sixteen branches, 8 bytes each; or `rows` says them all, as an answer
    to the other side's rows if `is_last`.
    """

    depth: int
    prefix: int
    sums: bytes = b""
    rows: dict[str, int] | None = None
    is_last: bool = False


class KeyDifference(msgspec.Struct, frozen=True, order=True):
    """A key that is only on one side, or has another entry there."""

    field: str
    key: str


class StateComparison:
    """One side of a comparison, over the state as it was when this was made.

    Start with `begin`; give each message to the other side's `answer`; when an answer is empty,
    `found` holds the differences, on both sides.
    """

    def __init__(self, state: ViewState) -> None:
        self.found: set[KeyDifference] = set()
        rows = sorted(_hashed_rows(state))
        self._places = [place for place, _, _ in rows]
        self._names = [name for _, name, _ in rows]
        self._hashes = [value for _, _, value in rows]
        self._sums = [0, *accumulate(self._hashes)]

    def begin(self) -> bytes:
        """The first message."""
        # Two levels at once: a message saved, for two KiB.
        return _encode([self._split(1, digit) for digit in range(FANOUT)])

    def answer(self, message: bytes) -> bytes:
        """What to send back; empty if nothing is left to compare. Raises `DeltaRefused`."""
        try:
            branches = _decode(message)
        except (msgspec.MsgspecError, ValueError) as error:
            raise DeltaRefused(
                f"an audit message can't be read ({error})", fault="damaged"
            ) from None
        answers: list[Branch] = []
        for branch in branches[:MAX_BRANCHES]:
            if not 0 <= branch.depth < HASH_BITS // FANOUT_BITS:
                raise DeltaRefused(f"an audit message goes {branch.depth} deep", fault="forged")
            if branch.rows is not None:
                self._compare(branch, branch.rows, answers)
            elif len(branch.sums) != FANOUT * 8:
                raise DeltaRefused("an audit message lacks branches", fault="forged")
            else:
                self._descend(branch, answers)
        return _encode(answers[:MAX_BRANCHES]) if answers else b""

    def _descend(self, branch: Branch, answers: list[Branch]) -> None:
        for digit in range(FANOUT):
            prefix = branch.prefix << FANOUT_BITS | digit
            theirs = int.from_bytes(branch.sums[digit * 8 : digit * 8 + 8])
            low, high = self._range(branch.depth + 1, prefix)
            if theirs == self._sum(low, high):
                continue
            deepest = branch.depth + 2 > HASH_BITS // FANOUT_BITS
            if high - low <= LEAF_ROWS or deepest:
                rows = dict(zip(self._names[low:high], self._hashes[low:high], strict=True))
                answers.append(Branch(branch.depth + 1, prefix, rows=rows))
            else:
                answers.append(self._split(branch.depth + 1, prefix))

    def _compare(self, branch: Branch, theirs: dict[str, int], answers: list[Branch]) -> None:
        low, high = self._range(branch.depth, branch.prefix)
        mine = dict(zip(self._names[low:high], self._hashes[low:high], strict=True))
        found = {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)}
        self.found |= {KeyDifference(*name.split("\x1e", 1)) for name in found if "\x1e" in name}
        if found and not branch.is_last:
            answers.append(Branch(branch.depth, branch.prefix, rows=mine, is_last=True))

    def _split(self, depth: int, prefix: int) -> Branch:
        sums = []
        for digit in range(FANOUT):
            low, high = self._range(depth + 1, prefix << FANOUT_BITS | digit)
            sums.append(self._sum(low, high).to_bytes(8))
        return Branch(depth, prefix, b"".join(sums))

    def _range(self, depth: int, prefix: int) -> tuple[int, int]:
        shift = HASH_BITS - depth * FANOUT_BITS
        low = bisect_left(self._places, prefix << shift)
        return low, bisect_left(self._places, (prefix + 1) << shift)

    def _sum(self, low: int, high: int) -> int:
        return (self._sums[high] - self._sums[low]) % _MODULUS


def _hashed_rows(state: ViewState) -> Iterable[tuple[int, str, int]]:
    """(hash of the name, name, hash of name and entry) of every row."""
    for field, store in state.stores.items():
        for key in store.keys():
            name = f"{field}\x1e{key}"
            entry = _encode([name, store.section([key])])
            yield _hash(name.encode()), name, _hash(entry)


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=HASH_BITS // 8).digest())


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Branch]).decode
