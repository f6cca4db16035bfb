"""A replica: a view in this process, on disk and up to date, and how it is operated from outside.

`Replica` is the door for users. Inside it `ReplicaLifecycle` opens and closes, `ReplicaTasks` keep
up, and both work on one `MaterializedView`: state, file, and who waits for it.
"""

from moonlet.projections.replica.control import Action, Status, operate
from moonlet.projections.replica.rebuilding import journal_ends, rebuild
from moonlet.projections.replica.replica import Replica
from moonlet.projections.replica.surveying import Sighting, survey

__all__ = [
    "Action",
    "Replica",
    "Sighting",
    "Status",
    "journal_ends",
    "operate",
    "rebuild",
    "survey",
]
