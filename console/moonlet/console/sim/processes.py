"""Many runs of scenarios, in this process or in several, their results in order."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Job], Result], jobs: Iterable[Job], *, processes: int
) -> Iterator[Result]:
    """`work(job)` for each, in order. With several processes some are done ahead.

    Who stops asking ends them, and so does the end of this process, `kill -9` included. `work` is
    a module's function: other processes import it by name.
    """
    if processes == 1:
        yield from map(work, jobs)
        return
    folder = os.getcwd()  # scenarios are found from here
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (folder,)) as pool:
        yield from pool.imap(work, jobs)


def _begin(folder: str) -> None:
    sys.path.append(folder)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's processes wait for work for ever once who made them was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
