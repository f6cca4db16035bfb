"""What a chronicle holds: commands that the bus acknowledged, and the commits of each agent."""

from __future__ import annotations

from typing import Any

import msgspec

from moonlet.core.commit import Commit
from moonlet.core.fold import Fold


class AcceptedCommand(msgspec.Struct, gc=False):
    """A command that the bus acknowledged: where it stood first, and how often it was stored."""

    agent: str
    id: str
    sender: str
    lane: str
    number: int
    stream: str
    sequence: int
    at_ns: int
    copies: int = 1


class History(msgspec.Struct):
    """One agent's commits, as they landed, and what they add up to.

    `ahead` are those whose time the server's clock had not come to. `foreign` are the sequences of
    what stands between them and is no commit.
    """

    agent: str
    fold: Fold[Any]
    commits: list[Commit[Any]] = []
    by_id: dict[str, int] = {}
    twice: list[str] = []
    ahead: list[str] = []
    broken: str = ""
    foreign: set[int] = set()
