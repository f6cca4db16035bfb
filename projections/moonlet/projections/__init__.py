"""Shared views of the journals that converge on every replica."""

from moonlet.projections.amounts import Amount
from moonlet.projections.control import Action, Status, operate
from moonlet.projections.database import ViewDatabase
from moonlet.projections.delta import apply_delta, make_delta
from moonlet.projections.dots import Dot
from moonlet.projections.errors import (
    DatabaseConflict,
    DatabaseCorrupt,
    DatabaseLocked,
    DeltaGap,
    DeltaRefused,
    ImpureFold,
    InvalidDatabase,
    InvalidView,
    JournalFault,
    PoisonedEvent,
)
from moonlet.projections.explain import FieldPlan
from moonlet.projections.fields import Fields
from moonlet.projections.journals import JournalId
from moonlet.projections.kinds import (
    AWSet,
    BoundedCounter,
    Doc,
    EWFlag,
    GSet,
    LexCounter,
    LWWRegister,
    Max,
    Min,
    MVRegister,
    ORMap,
)
from moonlet.projections.observed import Observed
from moonlet.projections.rebuild import journal_ends, rebuild
from moonlet.projections.replica import Replica
from moonlet.projections.roster import Enrolled, Roster
from moonlet.projections.sql import Rows, open_reader, select
from moonlet.projections.state import At, ViewState
from moonlet.projections.survey import Sighting, survey
from moonlet.projections.view import View

__all__ = [
    "AWSet",
    "Action",
    "Amount",
    "At",
    "BoundedCounter",
    "DatabaseConflict",
    "DatabaseCorrupt",
    "DatabaseLocked",
    "DeltaGap",
    "DeltaRefused",
    "Doc",
    "Dot",
    "EWFlag",
    "Enrolled",
    "FieldPlan",
    "Fields",
    "GSet",
    "ImpureFold",
    "InvalidDatabase",
    "InvalidView",
    "JournalFault",
    "JournalId",
    "LWWRegister",
    "LexCounter",
    "MVRegister",
    "Max",
    "Min",
    "ORMap",
    "Observed",
    "PoisonedEvent",
    "Replica",
    "Roster",
    "Rows",
    "Sighting",
    "Status",
    "View",
    "ViewDatabase",
    "ViewState",
    "apply_delta",
    "journal_ends",
    "make_delta",
    "open_reader",
    "operate",
    "rebuild",
    "select",
    "survey",
]
