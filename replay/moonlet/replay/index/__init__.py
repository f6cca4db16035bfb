"""The index: all commits of all journals in one SQLite file, a cache that follows them."""

from moonlet.replay.index.database import INDEX_VERSION, open_database
from moonlet.replay.index.following import follow
from moonlet.replay.index.index import Hit, Index, IndexBucket
from moonlet.replay.index.lookup import IndexLookup

__all__ = ["INDEX_VERSION", "Hit", "Index", "IndexBucket", "IndexLookup", "follow", "open_database"]
