"""Limits drawn small: in a world a few of anything are many."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

Limits = Sequence[tuple[Any, str, Any]]
"""Module, name, and the value there meanwhile."""


@contextmanager
def pressed(limits: Limits) -> Iterator[None]:
    """Have these limits so."""
    with ExitStack() as stack:
        for module, name, value in limits:
            stack.enter_context(patch.object(module, name, value))
        yield
