"""Dots: the name of an event, (journal, sequence, index in its commit), packed into one integer.

Within one journal packed dots order as the events do. The journal is an index into the view's
table, so a packed dot means nothing without it; `Dot` is what leaves the process.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

SEQUENCE_SHIFT: Final = 20
INDEX_SHIFT: Final = 8
JOURNAL_MASK: Final = 0xFF
INDEX_MASK: Final = 0xFFF

MAX_SEQUENCE: Final = 2**43 - 1
"""A larger one makes no dot that SQLite can hold; 28 years of 10,000 commits a second."""

MAX_INTEGER: Final = 2**63 - 1
"""SQLite's; a larger one is kept in other form."""

MAX_JOURNALS: Final = 256
"""Journals that one view may fold."""

MAX_EVENTS: Final = 4_096
"""Events in one commit that a dot can tell apart; a commit holds fewer."""

Packed = Annotated[int, msgspec.Meta(ge=0)]
"""A packed dot as it comes from outside."""


class Dot(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """Where an event stands: `journal` (its tag), its commit's `sequence`, `index` in it from 0."""

    journal: str
    sequence: int
    index: int = 0


def pack(sequence: int, index: int, journal: int) -> int:
    """One integer for a dot; `journal` is its index in the view's table."""
    return sequence << SEQUENCE_SHIFT | index << INDEX_SHIFT | journal


def unpack(dot: int) -> tuple[int, int, int]:
    """The sequence, the index in the commit, and the journal's index."""
    return dot >> SEQUENCE_SHIFT, dot >> INDEX_SHIFT & INDEX_MASK, dot & JOURNAL_MASK


def ends_of(frontier: Sequence[int]) -> list[int]:
    """By journal the first dot after the frontier; 0, so that no dot is before it, for all else.

    There are `MAX_JOURNALS` of them: any packed dot can be looked up.
    """
    ends = [(sequence + 1) << SEQUENCE_SHIFT for sequence in frontier]
    return ends + [0] * (MAX_JOURNALS - len(ends))
