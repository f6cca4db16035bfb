"""The file of the index: where it is, and opened, brought up to date or as it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moonlet.console.common import Options, progress
from moonlet.core.errors import Corrupt, InvalidSettings, Unavailable
from moonlet.core.ids import AgentId
from moonlet.replay import HistorySource, Point

if TYPE_CHECKING:  # SQLite takes 60 ms, which only an index is worth
    from moonlet.replay.index import Index

USELESS: Final = (Corrupt, InvalidSettings, Unavailable)
"""Why an index can't be used now; most commands do without."""


def index_file(options: Options, file: Path | None) -> Path:
    """Where the index is, if nobody says otherwise: beside the folder's embedded server."""
    return (
        file if file is not None else options.folder / ".moonlet" / f"index-{options.prefix}.sqlite"
    )


@asynccontextmanager
async def followed(
    options: Options,
    source: HistorySource,
    where: Path | None,
    *,
    stale: bool = False,
    bodies: bool = False,
) -> "AsyncIterator[tuple[Index, int]]":
    """The index of `where`, or in memory, up to date unless it may be `stale`; what was new to it.

    Raises one of `USELESS` for a file that can't be used, also where its damage is met later.
    """
    from moonlet.replay.index import Index, follow, in_our_words, open_database

    database = open_database(where, read_only=stale)
    try:
        with in_our_words(where):
            new = 0
            if not stale:
                with progress(options.output, "indexing", "commits") as advance:
                    new = await follow(database, source, bodies=bodies, progress=advance)
            yield Index(database, read_only=stale), new
    finally:
        database.close()


async def point_of_id(options: Options, source: HistorySource, id: str) -> Point | None:
    """The commit of a command's id by the index, if there is one and it names one agent."""
    where = index_file(options, None)
    if not where.exists():
        return None
    try:
        async with followed(options, source, where) as (found, _):
            hits = found.of_command(id)
    except USELESS:
        return None  # all is read then; whoever looks further is told
    if len(hits) != 1:
        return None
    return Point(AgentId.parse(hits[0].agent), hits[0].revision)
