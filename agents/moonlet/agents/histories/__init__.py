"""What agents have done: commits, states as of any point, and whether they are whole."""

from moonlet.agents.histories.reading import find_commit, fold_of, read_commits, state_of
from moonlet.agents.histories.verification import Fault, Verification

__all__ = ["Fault", "Verification", "find_commit", "fold_of", "read_commits", "state_of"]
