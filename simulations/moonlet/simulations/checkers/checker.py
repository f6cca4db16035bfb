"""What a checker is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moonlet.simulations.world.world import World

Finding = tuple[str, str]
"""The promise that is broken, and how."""

Checker = Callable[["World"], Iterator[Finding]]
"""Looks at a settled world; yields what is wrong."""
