"""What changed: between two states, along a history, and since when a condition holds."""

from moonlet.replay.changes.blaming import Blamed, blame
from moonlet.replay.changes.change import Change, changes, json_patch
from moonlet.replay.changes.comparing import Divergence, compare, said
from moonlet.replay.changes.condition import Condition, Names
from moonlet.replay.changes.paths import NOTHING, Path, inside, parse_path, show
from moonlet.replay.changes.searching import Bisected, bisect, names_of
from moonlet.replay.changes.walking import Walked, walk

__all__ = [
    "NOTHING",
    "Bisected",
    "Blamed",
    "Change",
    "Condition",
    "Divergence",
    "Names",
    "Path",
    "Walked",
    "bisect",
    "blame",
    "changes",
    "compare",
    "inside",
    "json_patch",
    "names_of",
    "parse_path",
    "said",
    "show",
    "walk",
]
