"""Nothing grows without a limit: what is full refuses, and says so."""

from collections.abc import Sized
from typing import Any, Final, Protocol

from moonlet.agents import Rejected

MAX_KNOWN: Final = 1_000
"""How many things of one kind (feeds, protocols, positions …) a satellite knows at most."""


class Table(Sized, Protocol):
    """What has a length and knows what is in it."""

    def __contains__(self, key: Any, /) -> bool:
        """Whether the key is known."""
        ...


def require_room(table: Table, key: str, what: str, limit: int = MAX_KNOWN) -> None:
    """Reject a key that isn't known yet where `limit` are known already."""
    if key not in table and len(table) >= limit:
        raise Rejected(f"{limit:,} {what} are the limit, and {key} would be one more")
