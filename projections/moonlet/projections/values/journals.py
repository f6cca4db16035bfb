"""The journals of a view: which streams it folds, in which incarnation, through which filter."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b
from typing import Final

import msgspec

from moonlet.core.errors import InvalidId, LimitExceeded
from moonlet.core.frontier import Frontier
from moonlet.core.ids import check_name
from moonlet.projections.values.dots import MAX_JOURNALS, Dot, unpack

NAME_BYTES: Final = 2
FILTER_BYTES: Final = 3
INCARNATION_BYTES: Final = 4

Mark = tuple[int, str]
"""A commit folded of a journal: its sequence and digest."""

UNMARKED: Final[Mark] = (0, "")
"""The mark of a journal of which nothing was folded."""


class JournalId(msgspec.Struct, frozen=True, order=True):
    """One journal as a view folds it: its name, its incarnation, the subjects that are read.

    The incarnation (created + epoch) tells a stream from another of the same name, whose
    sequences begin again.
    """

    name: str
    incarnation: str
    subjects: tuple[str, ...] = (">",)

    @property
    def tag(self) -> str:
        """`name:hash`: names this incarnation in tokens and dots."""
        return f"{self.name}:{_digest(self.incarnation, 4).hex()}"


class Journals:
    """An ordered table of a view's journals; immutable. Dots hold indexes into it."""

    def __init__(self, journals: Iterable[JournalId]) -> None:
        self.ids = tuple(sorted(journals))
        self.names = tuple(journal.name for journal in self.ids)
        for name in self.names:
            check_name(name, "journal")
        if len(set(self.names)) != len(self.names):
            raise InvalidId(f"one journal is named twice: {', '.join(self.names)}")
        if not 0 < len(self.ids) <= MAX_JOURNALS:
            raise LimitExceeded(
                f"a view folds 1 to {MAX_JOURNALS} journals, not {len(self.ids)}: split the view",
                limit=MAX_JOURNALS,
                value=len(self.ids),
            )
        self.index: Mapping[str, int] = {name: i for i, name in enumerate(self.names)}
        self.tags = tuple(journal.tag for journal in self.ids)
        self.by_tag: Mapping[str, int] = {tag: i for i, tag in enumerate(self.tags)}

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def filter_hash(self) -> bytes:
        """Of which subjects of which journals are read."""
        subjects = "\n".join(f"{j.name} {' '.join(sorted(j.subjects))}" for j in self.ids)
        return _digest(subjects, FILTER_BYTES)

    def incarnation_hash(self, skipped: Iterable[Dot]) -> bytes:
        """Of the journals' incarnations and of the commits that this view leaves out."""
        text = "\n".join((*self.tags, *(f"{d.journal} {d.sequence}" for d in sorted(skipped))))
        return _digest(text, INCARNATION_BYTES)

    def identity(self, view: str, skipped: Iterable[Dot] = ()) -> bytes:
        """Nine bytes; replicas of one view and version whose bytes differ may not join."""
        return _digest(view, NAME_BYTES) + self.filter_hash + self.incarnation_hash(skipped)

    def dot(self, packed: int) -> Dot:
        """The public form of a packed dot."""
        sequence, index, journal = unpack(packed)
        return Dot(self.tags[journal], sequence, index)

    def frontier(self, sequences: Iterable[int]) -> Frontier:
        """The frontier by name of a vector in table order."""
        return Frontier.of(dict(zip(self.names, sequences, strict=True)))

    def vector(self, frontier: Frontier) -> list[int]:
        """The vector in table order; journals that the view doesn't fold are left out."""
        return [frontier.at(name) for name in self.names]


def _digest(text: str, size: int) -> bytes:
    return blake2b(text.encode(), digest_size=size).digest()
