"""A view as of a time or a point: folded from the journals, of a server or a bundle."""

from collections.abc import Sequence
from pathlib import Path

from moonlet.console.common import Options, progress
from moonlet.console.replay import cut_of, reading
from moonlet.console.view.replicas import code_of_view
from moonlet.core.errors import Invalid
from moonlet.projections import ViewState
from moonlet.replay import Cut, commit_at, cut_behind, view_at


async def view_then(
    options: Options,
    name: str,
    at: str | None,
    time: str | None,
    module: Sequence[str] | None,
    bundle: Path | None,
) -> tuple[Cut | None, ViewState]:
    """The view, and the cut that it is as of; of a bundle without a time all of it.

    Raises `Invalid` for a time and a point, and as reading and folding do.
    """
    if at is not None and time is not None:
        raise Invalid("give a point or a time, not both")
    view, types = code_of_view(name, module)
    async with reading(options, bundle, types.values()) as opened:
        source = opened.source
        cut = await cut_of(opened, time)
        if at is not None:
            point = await opened.point(at)
            commit = await commit_at(source, point)
            cut = await cut_behind(
                source, source.topology.journal_of(point.agent.type), commit.sequence
            )
        with progress(options.output, "folding", "sequences") as advance:
            return cut, await view_at(source, view, cut, advance)
