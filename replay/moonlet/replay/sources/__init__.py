"""Where histories are read from, and reading them: commits in order, states as of a revision."""

from moonlet.replay.sources.bundle_source import BundleSource
from moonlet.replay.sources.paging import CommitPages
from moonlet.replay.sources.reading import (
    commits_of,
    find_command,
    fold_at,
    last_revision,
    messages_of,
)
from moonlet.replay.sources.server_source import ServerSource
from moonlet.replay.sources.source import HistorySource, JournalFacts, Progress

__all__ = [
    "BundleSource",
    "CommitPages",
    "HistorySource",
    "JournalFacts",
    "Progress",
    "ServerSource",
    "commits_of",
    "find_command",
    "fold_at",
    "last_revision",
    "messages_of",
]
