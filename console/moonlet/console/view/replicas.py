"""A command's own replica of a view: a file of the folder that is folded on from time to time.

It is nobody else's, so that looking at a view never hurts a replica that runs; commands that look
at once have a file each. What is in one can be folded again: a file of other journals, or one that
is damaged, is replaced.
"""

import fcntl
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from moonlet.agents import Client
from moonlet.console.common import Found, Options, find_code, opened
from moonlet.core.errors import InvalidSettings, LimitExceeded
from moonlet.projections import (
    FILES,
    DatabaseCorrupt,
    InvalidDatabase,
    JournalFault,
    Replica,
    View,
    journal_ends,
)
from moonlet.telemetry import configure

FOLDER: Final = Path(".moonlet/views")

MAX_AT_ONCE: Final = 16
"""Commands of one folder that may look at one view at once, `watch` among them."""


class Known(NamedTuple):
    """A view whose code is known here, and an open client that knows its agent types."""

    view: View
    moon: Client


@asynccontextmanager
async def connected(
    options: Options, name: str, module: Sequence[str] | None
) -> AsyncIterator[Known]:
    """Find the view's code, and connect; raises `InvalidSettings`, and as `opened` does."""
    view, types = code_of_view(name, module)
    async with opened(options, types.values()) as session:
        yield Known(view, session.moon)


def code_of_view(name: str, module: Sequence[str] | None) -> tuple[View, Found]:
    """The view, and the agent types beside it; raises `InvalidSettings`."""
    code = find_code(module)
    view = code.views.get(name)
    if view is None:
        raise InvalidSettings(
            f"the code of view {name} is not known here (known:"
            f" {', '.join(sorted(code.views)) or 'none'}): name its module with --module"
            " MODULE[:NAME]"
        )
    return view, code.types


@asynccontextmanager
async def replicated(options: Options, known: Known, timeout: float) -> AsyncIterator[Replica]:
    """The command's own replica, folded up to the journals' ends; raises as a replica does."""
    async with AsyncExitStack() as stack:
        replica = await stack.enter_async_context(unfolded(options, known))
        await replica.wait_for(await journal_ends(known.moon, known.view), timeout=timeout)
        yield replica


@asynccontextmanager
async def unfolded(
    options: Options, known: Known, file: Path | None = None
) -> AsyncIterator[Replica]:
    """The command's own replica, or that of `file`, wherever it stands."""
    if file is not None and FILES.identity(file) is None:
        raise InvalidSettings(f"there is no file {file}: name the file of a replica")
    async with AsyncExitStack() as stack:
        if not options.debug:  # what stops it is raised, and told once
            configure(logging.CRITICAL, json=options.output.json)
            stack.callback(configure, logging.WARNING, json=options.output.json)
        path = file or stack.enter_context(_taken(options, known.view))
        replica = Replica(known.moon, known.view, path)
        try:
            await stack.enter_async_context(replica)
        except (DatabaseCorrupt, InvalidDatabase, JournalFault) as error:
            lost = isinstance(error, JournalFault) and error.fault != "re-created"
            if lost or file is not None:
                raise
            options.output.remark(f"{path} is folded anew: {error}")
            FILES.remove(path)
            replica = Replica(known.moon, known.view, path)
            await stack.enter_async_context(replica)
        yield replica


@contextmanager
def _taken(options: Options, view: View) -> Iterator[Path]:
    """The first of the commands' files that no other command has now.

    The lock is the kernel's: a command that is killed leaves it.
    """
    first = file_of(options, view)
    for number in range(1, MAX_AT_ONCE + 1):
        path = first if number == 1 else first.with_name(f"{first.stem}.{number}.db")
        lock = _lock(path.with_suffix(".lock"))
        if lock is not None:
            try:
                yield path
            finally:
                os.close(lock)
            return
    raise LimitExceeded(
        f"{MAX_AT_ONCE} commands look at view {view.name} in {first.parent}: end one of them",
        limit=MAX_AT_ONCE,
        value=MAX_AT_ONCE + 1,
    )


def _lock(file: Path) -> int | None:
    """The descriptor of the locked file; None if another command has it."""
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidSettings(
            f"{file} can't be written: {error.strerror}; name a folder with --data"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise InvalidSettings(
            f"{file} can't be locked ({error.strerror}): name a folder on a local disk with --data"
        ) from None
    return lock


def file_of(options: Options, view: View) -> Path:
    """Where the command's own replica is, if no other has that; its folder is made if need be."""
    path = _path(options, view)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(
            f"{path.parent} can't be made: {error.strerror}; name a folder with --data"
        ) from None
    return path


def has_file(options: Options, name: str, module: Sequence[str] | None) -> bool:
    """Whether the view's code is known, and the command has a replica of its own already."""
    view = find_code(module).views.get(name)
    return view is not None and _path(options, view).exists()


def _path(options: Options, view: View) -> Path:
    return options.folder / FOLDER / f"{view.name}-v{view.version}.db"
