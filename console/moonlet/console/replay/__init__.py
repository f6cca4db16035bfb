"""Time travel: `history`, `state`, `diff`, `blame`, `bisect`, `why`, `trace` and more."""

from typing import TYPE_CHECKING

from moonlet.core.doors import late as _late

if TYPE_CHECKING:
    from moonlet.console.replay.causes import ENDS, effects, trace, why
    from moonlet.console.replay.cohorts import cohort_
    from moonlet.console.replay.forking import fork
    from moonlet.console.replay.histories import history
    from moonlet.console.replay.indexing import index, indexed, kept_states, looking, search
    from moonlet.console.replay.opening import BundleFile, Reading, Time, code_of, reading
    from moonlet.console.replay.replaying import replay
    from moonlet.console.replay.searching import bisect, blame, compare, parted_record, parted_words
    from moonlet.console.replay.states import cut, cut_of, diff, state
    from moonlet.console.replay.stepping import step
    from moonlet.console.replay.vetting import vet
    from moonlet.console.replay.words import in_words, line, moment, origin

__getattr__ = _late(__name__)

__all__ = [
    "ENDS",
    "BundleFile",
    "Reading",
    "Time",
    "bisect",
    "blame",
    "code_of",
    "cohort_",
    "compare",
    "cut",
    "cut_of",
    "diff",
    "effects",
    "fork",
    "history",
    "in_words",
    "index",
    "indexed",
    "kept_states",
    "line",
    "looking",
    "moment",
    "origin",
    "parted_record",
    "parted_words",
    "reading",
    "replay",
    "search",
    "state",
    "step",
    "trace",
    "vet",
    "why",
]
