"""What agents have done: commits, states as of any point, and whether they are whole."""

from moonlet.agents.histories.reading import find_commit, fold_of, read_commits
from moonlet.agents.histories.verification import HistoryFault, Verification

__all__ = ["HistoryFault", "Verification", "find_commit", "fold_of", "read_commits"]
