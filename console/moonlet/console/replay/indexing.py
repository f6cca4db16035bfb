"""`index` and `search`: the cache of all commits, and finding some by their words."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from moonlet.agents import AgentType
from moonlet.console.common import Found, Modules, Options, command, counted, find, progress
from moonlet.console.replay.index_file import USELESS, followed, index_file
from moonlet.console.replay.opening import BundleFile, Reading, reading
from moonlet.core.errors import InvalidAgentType, InvalidSettings
from moonlet.core.ids import AgentId
from moonlet.replay import Keyframes, Lookup, ScanLookup, Timeline

if TYPE_CHECKING:  # SQLite takes 60 ms, which only an index is worth
    from moonlet.replay.index import Hit, Index

IndexFile = Annotated[
    Path | None,
    typer.Option(
        "--index", metavar="FILE", help="The index. Default: .moonlet/index-PREFIX.sqlite."
    ),
]
Stale = Annotated[bool, typer.Option("--stale", help="Answer from what is indexed already.")]


@asynccontextmanager
async def indexed(
    options: Options,
    opened: Reading,
    file: Path | None,
    *,
    stale: bool = False,
    bodies: bool = False,
) -> "AsyncIterator[tuple[Index, int]]":
    """An index of what is read, brought up to date; and how many commits were new to it.

    Of a bundle it is made in memory, unless a file is named.
    """
    where = index_file(options, file) if opened.bus is not None or file is not None else None
    if stale and (where is None or not where.exists()):
        raise InvalidSettings("--stale: there is no index yet; leave it out once, and it is made")
    async with followed(options, opened.source, where, stale=stale, bodies=bodies) as found:
        yield found


@asynccontextmanager
async def looking(options: Options, opened: Reading) -> AsyncIterator[Lookup]:
    """What finds commits: the index of the journals, if there is one, brought up to date.

    One that can't be used is told of, and done without.
    """
    async with AsyncExitStack() as stack:
        lookup: Lookup = ScanLookup(opened.source)
        if opened.bus is not None and index_file(options, None).exists():
            from moonlet.replay.index import IndexLookup

            try:
                found, _ = await stack.enter_async_context(indexed(options, opened, None))
                lookup = IndexLookup(found, opened.source)
            except USELESS as error:
                options.output.remark(f"without the index: {error}")
        yield lookup


@contextmanager
def kept_states(options: Options, opened: Reading) -> "Iterator[Keyframes | None]":
    """The states that the index keeps, if there is one: any point of a long history is near.

    One that can't be used is told of, and done without; it need not be up to date.
    """
    where = index_file(options, None)
    if opened.bus is None or not where.exists():
        yield None
        return
    from moonlet.replay.index import IndexKeyframes, open_existing

    try:
        database = open_existing(where)
    except USELESS as error:
        options.output.remark(f"without the index: {error}")
        yield None
        return
    try:
        yield IndexKeyframes(database)
    finally:
        database.close()


@asynccontextmanager
async def timeline_of(
    options: Options, opened: Reading, agent_type: AgentType[Any], agent: AgentId
) -> AsyncIterator[Timeline]:
    """One agent's history, with the states that the index keeps; long ways are shown."""
    with (
        kept_states(options, opened) as kept,
        progress(options.output, "reading", "commits") as advance,
    ):
        yield await Timeline.open(opened.source, agent_type, agent, kept, advance)


@command
async def index(
    options: Options,
    bodies: Annotated[
        bool, typer.Option("--bodies", help="Index the text of what is new too, for `search`.")
    ] = False,
    module: Modules = None,
    file: IndexFile = None,
    bundle: BundleFile = None,
) -> None:
    """Bring the index of all journals up to date. A cache: deleted, it is made anew.

    Of agents with long histories whose code is known, states are kept too, so that any point of
    them is near.
    """
    types = _known(options, module)
    async with (
        reading(options, bundle) as opened,
        indexed(options, opened, file, bodies=bodies) as (found, new),
    ):
        failed: dict[str, str] = {}
        if opened.bus is not None or file is not None:
            from moonlet.replay.index import keep_states

            with progress(options.output, "keeping states", "commits") as advance:
                failed = await keep_states(found.database, opened.source, types, advance)
        record: dict[str, Any] = {
            "new": new,
            "commits": found.count(),
            "frontier": found.frontier(),
            "failed": failed,
        }
    text = f"{counted(record['commits'], 'commit')} indexed, {new:,} of them now"
    options.output.result(record, text)
    for agent, why in failed.items():
        options.output.remark(f"{agent} can't be folded to its end: {why}")


def _known(options: Options, module: list[str] | None) -> Found:
    """The code that can be found: an index is made without any too, unless it was named."""
    try:
        return find(module)
    except (InvalidAgentType, InvalidSettings) as error:
        if module:
            raise
        options.output.remark(f"no states are kept: {error}")
        return {}


@command
async def search(
    options: Options,
    text: Annotated[str, typer.Argument(metavar="TEXT", help='Words; "…" for a phrase.')],
    most: Annotated[int, typer.Option("--most", min=1, help="How many, the newest first.")] = 20,
    stale: Stale = False,
    file: IndexFile = None,
    bundle: BundleFile = None,
) -> None:
    """Find commits by agents, names, ids and reasons; by bodies, if `index --bodies` has them."""
    async with (
        reading(options, bundle) as opened,
        indexed(options, opened, file, stale=stale, bodies=bundle is not None) as (found, _),
    ):
        hits = found.search(text, most)
    for hit in hits:
        options.output.result(msgspec.structs.asdict(hit), _line(hit))
    if not hits:
        options.output.remark(f"no commit has {text!r}")


def _line(hit: "Hit") -> str:
    moment = datetime.fromtimestamp(hit.micros / 1_000_000, UTC)
    shown = moment.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    told = f" ({hit.reason})" if hit.reason else ""
    return f"{hit.agent}@{hit.revision}  {shown}  {hit.outcome}  {hit.name} {hit.command}{told}"
