"""What agents have done: commits, states as of any point, and whether they are whole."""

from moonlet.agents.histories.reading import find_commit, fold_of, read_commits
from moonlet.agents.histories.records import commits_in, fold_in
from moonlet.agents.histories.repairing import RepairPlan, plan_repair, repair
from moonlet.agents.histories.retrying import parked_commit, retry_parked
from moonlet.agents.histories.verification import HistoryFault, Verification

__all__ = [
    "HistoryFault",
    "RepairPlan",
    "Verification",
    "commits_in",
    "find_commit",
    "fold_in",
    "fold_of",
    "parked_commit",
    "plan_repair",
    "read_commits",
    "repair",
    "retry_parked",
]
