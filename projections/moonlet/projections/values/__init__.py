"""What rows are made of: numbers that add up exactly, dots, the journals that dots name, tokens.

The lowest room: it knows neither fields nor views.
"""

from moonlet.projections.values.amounts import (
    Amount,
    WireAmount,
    check_amount,
    from_wire,
    minus,
    order_key,
    plus,
    to_wire,
    total,
)
from moonlet.projections.values.dots import (
    INDEX_SHIFT,
    JOURNAL_MASK,
    MAX_EVENTS,
    MAX_INTEGER,
    MAX_SEQUENCE,
    SEQUENCE_SHIFT,
    Dot,
    Packed,
    ends_of,
    pack,
    unpack,
)
from moonlet.projections.values.journals import (
    FILTER_BYTES,
    NAME_BYTES,
    UNMARKED,
    JournalId,
    Journals,
    Mark,
)
from moonlet.projections.values.observed import Observed, SeenDot, SeenRow

__all__ = [
    "FILTER_BYTES",
    "INDEX_SHIFT",
    "JOURNAL_MASK",
    "MAX_EVENTS",
    "MAX_INTEGER",
    "MAX_SEQUENCE",
    "NAME_BYTES",
    "SEQUENCE_SHIFT",
    "UNMARKED",
    "Amount",
    "Dot",
    "JournalId",
    "Journals",
    "Mark",
    "Observed",
    "Packed",
    "SeenDot",
    "SeenRow",
    "WireAmount",
    "check_amount",
    "ends_of",
    "from_wire",
    "minus",
    "order_key",
    "pack",
    "plus",
    "to_wire",
    "total",
    "unpack",
]
