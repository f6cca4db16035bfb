"""What a planted bug is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One planted bug: `changes` are (file, old text, new text)."""

    name: str
    what: str
    changes: tuple[tuple[str, str, str], ...]
