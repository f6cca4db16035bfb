"""Progress of long work. Only for people at a terminal, and only once it has taken a moment."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from moonlet.console.common.output import Output

if TYPE_CHECKING:
    from moonlet.console.common.progress_bar import ProgressBar

Advance = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

SHOWN_AFTER: Final = 0.3
"""Seconds of work from which a bar is worth drawing; `rich`, which draws it, takes 30 ms."""


@contextmanager
def progress(output: Output, label: str, unit: str) -> Iterator[Advance]:
    """A bar on stderr until the end of the block; nothing with `--json` or off a terminal."""
    if output.json or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    began = time.monotonic()
    bar: ProgressBar | None = None

    def advance(done: int, total: int) -> None:
        nonlocal bar
        if bar is None and time.monotonic() - began >= SHOWN_AFTER:
            from moonlet.console.common.progress_bar import ProgressBar

            bar = ProgressBar(label, unit)
        if bar is not None:
            bar.advance(done, total)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.close()
