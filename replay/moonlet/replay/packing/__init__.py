"""A part of a system as one file, to be looked into elsewhere; and a test made of it."""

from moonlet.replay.packing.golden import golden_test
from moonlet.replay.packing.packing import chosen_by_cause, chosen_by_pattern, pack, pack_of

__all__ = ["chosen_by_cause", "chosen_by_pattern", "golden_test", "pack", "pack_of"]
