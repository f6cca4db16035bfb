"""The index: all commits of all journals in one SQLite file, a cache that follows them."""

from moonlet.replay.index.database import (
    INDEX_VERSION,
    in_our_words,
    open_database,
    open_existing,
)
from moonlet.replay.index.following import follow
from moonlet.replay.index.index import Hit, Index, IndexBucket
from moonlet.replay.index.keeping import keep_states
from moonlet.replay.index.keyframes import IndexKeyframes
from moonlet.replay.index.lookup import IndexLookup

__all__ = [
    "INDEX_VERSION",
    "Hit",
    "Index",
    "IndexBucket",
    "IndexKeyframes",
    "IndexLookup",
    "follow",
    "in_our_words",
    "keep_states",
    "open_database",
    "open_existing",
]
