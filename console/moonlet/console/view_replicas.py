"""A command's own replica of a view: a file of the folder that is folded on from time to time.

It is nobody else's, so that looking at a view never hurts a replica that runs. What is in it can
be folded again: a file of other journals, or one that is damaged, is replaced.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from moonlet.agents import Moon
from moonlet.console.agent_types import find_code
from moonlet.console.options import Options
from moonlet.console.session import opened
from moonlet.core.errors import InvalidSettings
from moonlet.projections import (
    DatabaseCorrupt,
    InvalidDatabase,
    JournalFault,
    Replica,
    View,
    journal_ends,
)
from moonlet.projections.disk import FILES

FOLDER: Final = Path(".moonlet/views")


class Known(NamedTuple):
    """A view whose code is known here, and an open client that knows its agent types."""

    view: View
    moon: Moon


@asynccontextmanager
async def connected(
    options: Options, name: str, module: Sequence[str] | None
) -> AsyncIterator[Known]:
    """Find the view's code, and connect; raises `InvalidSettings`, and as `opened` does."""
    code = find_code(module)
    view = code.views.get(name)
    if view is None:
        raise InvalidSettings(
            f"the code of view {name} is not known here (known:"
            f" {', '.join(sorted(code.views)) or 'none'}): name its module with --module"
            " MODULE[:NAME]"
        )
    async with opened(options, code.types.values()) as session:
        yield Known(view, session.moon)


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
    path = file or file_of(options, known.view)
    async with AsyncExitStack() as stack:
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


def file_of(options: Options, view: View) -> Path:
    """Where the command's own replica is; its folder is made if need be."""
    folder = options.folder / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(
            f"{folder} can't be made: {error.strerror}; name a folder with --data"
        ) from None
    return folder / f"{view.name}-v{view.version}.db"
