"""A new version's file, built beside the old one and put in its place when it has caught up."""

from datetime import timedelta
from pathlib import Path

from moonlet.core.frontier import Frontier
from moonlet.projections.disk import FILES, Disk
from moonlet.projections.replica import Client, Replica
from moonlet.projections.view import View
from moonlet.projections.view_subjects import journals_of

NEXT = ".next"
"""Ends the name of a file that is being built."""


async def rebuild(
    moon: Client,
    view: View,
    path: str | Path,
    *,
    timeout: float | timedelta = 600.0,
    disk: Disk = FILES,
) -> Frontier:
    """Fold everything into `<path>.next`, then put it in the place of `path`; returns how far.

    Whoever serves the old file goes on until then, and is stopped by `DatabaseCorrupt` at its next
    save: start it again with the new code. What was built stays if this is cut short, and the next
    call goes on from there. Raises as opening a replica does, and `Unavailable` when time is up.
    """
    target = Path(path)
    beside = target.with_name(target.name + NEXT)
    async with Replica(moon, view, beside, disk=disk) as replica:
        await replica.wait_for(await journal_ends(moon, view), timeout=timeout)
        reached = replica.durable
    disk.replace(target, beside)
    return reached


async def journal_ends(moon: Client, view: View) -> Frontier:
    """The last sequences of the journals that a view folds, as of now."""
    js = moon.bus.js
    infos = {name: await js.stream_info(name) for name in journals_of(moon.bus, view)}
    return Frontier(
        {name: int(info["state"]["last_seq"]) for name, info in infos.items() if info is not None}
    )
