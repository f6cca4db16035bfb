"""What if: a recorded history run on from a point with other commands or other code. All unreal."""

from moonlet.replay.forks.cohorts import Cohort, Compared, cohort, conversations
from moonlet.replay.forks.counterfactual import Dependence, depends_on
from moonlet.replay.forks.edits import Drop, Edit, Insert, Reorder
from moonlet.replay.forks.forking import AgentFork, Fork, fork
from moonlet.replay.forks.recording import Recording, read_record

__all__ = [
    "AgentFork",
    "Cohort",
    "Compared",
    "Dependence",
    "Drop",
    "Edit",
    "Fork",
    "Insert",
    "Recording",
    "Reorder",
    "cohort",
    "conversations",
    "depends_on",
    "fork",
    "read_record",
]
