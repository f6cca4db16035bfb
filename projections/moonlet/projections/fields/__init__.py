"""A field's types, and the stores behind them: how events of many journals become one value.

What a view declares and its handlers write to (`kinds`, `declared`) is recorded first and carried
out on a store at the commit's end (`recorder`). A store folds, joins another's section, and gives
its rows for the file; each is a CRDT of its own.
"""

from moonlet.projections.fields.bounded_store import BoundedStore
from moonlet.projections.fields.declared import TYPES, Field, Fields, read_field
from moonlet.projections.fields.dot_store import DotStore
from moonlet.projections.fields.kinds import (
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
from moonlet.projections.fields.recorder import SEPARATOR, Op, Recorder, carry_out
from moonlet.projections.fields.store import FieldStore, forged

__all__ = [
    "SEPARATOR",
    "TYPES",
    "AWSet",
    "BoundedCounter",
    "BoundedStore",
    "Doc",
    "DotStore",
    "EWFlag",
    "Field",
    "FieldStore",
    "Fields",
    "GSet",
    "LWWRegister",
    "LexCounter",
    "MVRegister",
    "Max",
    "Min",
    "ORMap",
    "Op",
    "Recorder",
    "carry_out",
    "forged",
    "read_field",
]
