"""Shared views of the journals that converge on every replica."""

from typing import TYPE_CHECKING

from moonlet.core.doors import late as _late

if TYPE_CHECKING:
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
    from moonlet.projections.exchange import Enrolled, Roster, apply_delta, make_delta
    from moonlet.projections.fields import (
        AWSet,
        BoundedCounter,
        Doc,
        EWFlag,
        Fields,
        GSet,
        LexCounter,
        LWWRegister,
        Max,
        Min,
        MVRegister,
        ORMap,
    )
    from moonlet.projections.files import (
        FILES,
        Disk,
        MemoryDisk,
        Rows,
        ViewDatabase,
        open_reader,
        select,
    )
    from moonlet.projections.replica import (
        Action,
        Replica,
        Sighting,
        Status,
        journal_ends,
        operate,
        rebuild,
        survey,
    )
    from moonlet.projections.values import Amount, Dot, JournalId, Observed
    from moonlet.projections.view import At, FieldPlan, View, ViewState, journals_of

__getattr__ = _late(__name__)

__all__ = [
    "FILES",
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
    "Disk",
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
    "MemoryDisk",
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
    "journals_of",
    "make_delta",
    "open_reader",
    "operate",
    "rebuild",
    "select",
    "survey",
]
