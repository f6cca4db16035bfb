"""Time travel: what was, why, what followed, and what would have been. Knows no terminal.

Journals are read through a `HistorySource`: a server, or a file that was taken of one.
"""

from moonlet.replay.sources import (
    BundleSource,
    HistorySource,
    JournalFacts,
    ServerSource,
    commits_of,
    find_command,
    fold_at,
    messages_of,
)

__all__ = [
    "BundleSource",
    "HistorySource",
    "JournalFacts",
    "ServerSource",
    "commits_of",
    "find_command",
    "fold_at",
    "messages_of",
]
