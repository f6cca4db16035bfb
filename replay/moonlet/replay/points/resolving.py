"""From the text of a point to the commit that it means."""

from contextlib import aclosing
from typing import Any

import msgspec

from moonlet.core.codec import ENCODING_HEADER
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Invalid, Undecodable
from moonlet.core.ids import AgentId
from moonlet.replay.points.moments import TimeText, moment_of
from moonlet.replay.points.point import Point, PointText, parse_point
from moonlet.replay.sources import CommitPages, HistorySource, last_revision
from moonlet.streams import decode_plain_commit


async def resolve(
    source: HistorySource, text: str | PointText, *, moment: TimeText | None = None
) -> Point:
    """The point that a text means. With `moment` the text must be an agent alone.

    Raises `Invalid` for what is not there, and as reading does.
    """
    said = parse_point(text) if isinstance(text, str) else text
    if moment is not None:
        if said.kind != "last":
            raise Invalid(f"{said.text} is a point already: with --time give an agent alone")
        assert said.agent is not None
        return Point(said.agent, await revision_at(source, said.agent, moment))
    if said.kind == "place":
        return _point_of(await _commit_of_place(source, said))
    if said.kind == "id":
        return _point_of(await _commit_of_id(source, said.id))
    assert said.agent is not None
    if said.kind == "time":
        assert said.moment is not None
        return Point(said.agent, await revision_at(source, said.agent, said.moment))
    last = await last_revision(source, said.agent)
    if said.kind == "last":
        return Point(said.agent, last)
    if said.revision > last:
        raise Invalid(f"{said.agent} has no revision {said.revision}: {_told(last)}")
    return Point(said.agent, said.revision)


async def commit_at(source: HistorySource, point: Point) -> Commit[Any]:
    """The commit of a point; raises `Invalid` for revision 0, which is before the first one."""
    if not point.revision:
        raise Invalid(f"{point} is no commit: an agent's first revision is 1")
    pages = await CommitPages.open(source, point.agent)
    return await pages.commit(point.revision)


async def revision_at(source: HistorySource, agent: AgentId, moment: TimeText) -> int:
    """The last revision not later than a moment; 0 before the first. By halving: times grow."""
    pages = await CommitPages.open(source, agent)
    _, newest = await _readable(pages, pages.last, 0)
    if newest is None:
        return 0
    at = moment_of(moment, now_us=source.now_us(), last_us=newest)
    low, high = 0, pages.last
    while low < high:
        middle = (low + high + 1) // 2
        revision, micros = await _readable(pages, middle, low)
        if micros is not None and micros > at:
            high = revision - 1
        else:
            low = middle
    return low


async def _readable(pages: CommitPages, revision: int, low: int) -> tuple[int, int | None]:
    """The last commit from a revision back to behind `low` that can be read, and its time in µs."""
    for here in range(revision, low, -1):
        try:
            return here, (await pages.commit(here)).time.micros
        except (Undecodable, Corrupt, Invalid):
            continue
    return low, None


def _told(last: int) -> str:
    return f"its last is {last}" if last else "it has no commits; `moonlet agents` lists who has"


def _point_of(commit: Commit[Any]) -> Point:
    return Point(AgentId.parse(commit.agent), commit.revision)


async def _commit_of_place(source: HistorySource, said: PointText) -> Commit[Any]:
    """The commit at a sequence of a journal, which may be named by its short name."""
    streams = {facts.stream: facts for facts in await source.journals()}
    prefix = source.topology.prefix
    name = said.stream if said.stream in streams else f"{prefix}-journal-{said.stream}"
    facts = streams.get(name)
    if facts is None:
        raise Invalid(
            f"{said.text}: there is no journal {said.stream} in {source.description}; there are:"
            f" {', '.join(sorted(streams)) or 'none'}"
        )
    message = await source.message(name, said.sequence)
    if message is None:
        raise Invalid(f"{said.text}: {name} holds sequences {facts.first} to {facts.last}")
    return decode_plain_commit(name, message)


async def _commit_of_id(source: HistorySource, id: str) -> Commit[Any]:
    """The commit of a command's id, whoever it was sent to: all journals are read."""
    found: list[Commit[Any]] = []
    wanted = {id.encode(), msgspec.json.encode(id)[1:-1]}
    for facts in await source.journals():
        batches = source.messages(facts.stream)
        async with aclosing(batches):
            async for batch in batches:
                for message in batch:
                    packed = (message.headers or {}).get(ENCODING_HEADER, "").endswith("zstd")
                    if not packed and not any(text in message.data for text in wanted):
                        continue
                    try:
                        commit = decode_plain_commit(facts.stream, message)
                    except (Undecodable, Corrupt):
                        continue
                    if commit.command.id == id:
                        found.append(commit)
    if not found:
        raise Invalid(
            f"no commit of {source.description} has the command id {id!r}: if it was told, its"
            " agent has not decided it yet"
        )
    if len(found) > 1:
        names = ", ".join(sorted(f"{c.agent}@{c.revision}" for c in found)[:5])
        raise Invalid(f"several agents had a command of the id {id!r}: name one of {names}")
    return found[0]
