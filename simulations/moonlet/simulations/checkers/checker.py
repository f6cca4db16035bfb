"""What a checker is, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from moonlet.simulations.chronicle import Chronicle
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.process import SimHost
from moonlet.streams import Topology


class Evidence(Protocol):
    """What checkers look at: what is durable, and what the hosts believe."""

    @property
    def chronicle(self) -> Chronicle:
        """All that was stored, as it was stored."""
        ...

    @property
    def hosts(self) -> Mapping[str, SimHost]:
        """The processes that run hosts, by name."""
        ...

    @property
    def server(self) -> MemoryServer:
        """The server, as it stands."""
        ...

    @property
    def topology(self) -> Topology:
        """The streams of the world."""
        ...


Finding = tuple[str, str]
"""The promise that is broken, and how."""

Checker = Callable[[Evidence], Iterator[Finding]]
"""Looks at a settled world; yields what is wrong."""
