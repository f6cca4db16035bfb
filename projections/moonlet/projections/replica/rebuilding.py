"""A new version's file, built beside the old one and put in its place when it has caught up."""

from datetime import timedelta
from pathlib import Path

from moonlet.core.frontier import Frontier
from moonlet.projections.errors import DatabaseCorrupt, InvalidDatabase
from moonlet.projections.exchange import Roster
from moonlet.projections.files import FILES, Disk, open_reader, read_notes, write_replica
from moonlet.projections.replica.replica import Replica, ReplicaClient
from moonlet.projections.view import View, journals_of
from moonlet.streams import stream_facts

NEXT = ".next"
"""Ends the name of a file that is being built."""


async def rebuild(
    moon: ReplicaClient,
    view: View,
    path: str | Path,
    *,
    timeout: float | timedelta = 600.0,
    disk: Disk = FILES,
) -> Frontier:
    """Fold everything into `<path>.next`, then put it in the place of `path`; returns how far.

    The replica keeps its name: in the registry it is the same.
    Whoever serves the old file goes on until then, and is stopped by `DatabaseCorrupt` at its next
    save: start it again with the new code. What was built stays if this is cut short, and the next
    call goes on from there. Raises as opening a replica does, `Unavailable` when time is up, and
    `InvalidDatabase` if something else than the view's file is at `path`: that stays.
    """
    target = Path(path)
    before = _name_of(target, view, disk)
    beside = target.with_name(target.name + NEXT)
    async with Replica(moon, view, beside, disk=disk) as replica:
        await replica.wait_for(await journal_ends(moon, view), timeout=timeout)
        reached, name = replica.durable, replica.name
    if before and before != name:
        write_replica(beside, before, disk)
        await Roster(moon.bus).dismiss(view.name, name)
    disk.replace(target, beside)
    return reached


def _name_of(target: Path, view: View, disk: Disk) -> str:
    """The name of the replica whose file will be replaced; empty if there is none."""
    if disk.identity(target) is None:
        return ""
    try:
        open_reader(target, view.name, disk).close()
    except DatabaseCorrupt:
        raise InvalidDatabase(
            f"{target} is no database, or a damaged one, and a rebuild replaces only files of its"
            " view: name another, or delete this one first if nothing of it is needed"
        ) from None
    notes = read_notes(target, disk)
    return "" if notes is None else notes.replica


async def journal_ends(moon: ReplicaClient, view: View) -> Frontier:
    """The last sequences of the journals that a view folds, as of now."""
    found = [await stream_facts(moon.bus, name) for name in journals_of(moon.bus, view)]
    return Frontier({facts.name: facts.last for facts in found if facts is not None})
