"""Bundles: the history of a real server as one file, taken from it and opened for a world.

Imports the streams and agents whose bytes it reads; no other room.
"""

from moonlet.simulations.bundle.bundle import (
    PLAIN_MAX,
    Bundle,
    Held,
    names_of,
    read_bundle,
    write_bundle,
)
from moonlet.simulations.bundle.opening import digest_of, opened, registered, types_of
from moonlet.simulations.bundle.source import take_bundle

__all__ = [
    "PLAIN_MAX",
    "Bundle",
    "Held",
    "digest_of",
    "names_of",
    "opened",
    "read_bundle",
    "registered",
    "take_bundle",
    "types_of",
    "write_bundle",
]
