"""A view: its fields and handlers, checked for purity, and the state that folding leaves.

Here a commit is folded; nothing here waits, and no file is known.
"""

from moonlet.projections.view.explain import FieldPlan
from moonlet.projections.view.state import At, ViewState
from moonlet.projections.view.subjects import (
    control_subject,
    heartbeat_subject,
    journals_of,
    replica_subject,
    snapshot_subject,
    snapshot_subjects,
)
from moonlet.projections.view.view import KnownAgentType, View

__all__ = [
    "At",
    "FieldPlan",
    "KnownAgentType",
    "View",
    "ViewState",
    "control_subject",
    "heartbeat_subject",
    "journals_of",
    "replica_subject",
    "snapshot_subject",
    "snapshot_subjects",
]
