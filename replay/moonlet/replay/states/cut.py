"""A cut through all journals: up to which sequence of each, so that no effect lacks its cause.

In one journal a cause is stored before what it causes, so any sequence is a cut. Of several, each
is cut at the time that is asked for, by the server's clock; then whatever was caused by something
behind another's cut is cut off as well, until nothing is (a consistent cut, as in Mattern,
"Virtual Time and Global States of Distributed Systems", 1989).
"""

from contextlib import aclosing
from typing import Final

import msgspec

from moonlet.core.codec import ENCODING_HEADER, unpack
from moonlet.core.errors import Invalid, MoonletError
from moonlet.core.ids import AgentId
from moonlet.replay.causes import cause_of_command
from moonlet.replay.sources import HistorySource, JournalFacts
from moonlet.streams import StoredMessage


class _Came(msgspec.Struct, gc=False):
    id: str
    sender: str = ""
    timer: str = ""
    call: str = ""


class _Link(msgspec.Struct, gc=False):
    """What links a commit to its cause; the rest is passed over."""

    agent: str
    revision: int
    command: _Came


_JSON: Final = msgspec.json.Decoder(_Link)
_PACKED: Final = msgspec.msgpack.Decoder(_Link)


def _link(message: StoredMessage) -> _Link | None:
    """None for a record that makes no sense: it is no cause that anybody could look at."""
    try:
        data, encoding = unpack(message.data, (message.headers or {}).get(ENCODING_HEADER))
        return (_JSON if encoding == "json" else _PACKED).decode(data)
    except (msgspec.MsgspecError, MoonletError):
        return None


class Cut(msgspec.Struct, frozen=True):
    """`frontier`: journal → the last sequence that belongs to it; 0 if nothing does.

    `lowered` are the journals that had to be cut earlier than asked, for a cause's sake.
    """

    frontier: dict[str, int]
    lowered: tuple[str, ...] = ()


async def cut_at(source: HistorySource, micros: int) -> Cut:
    """The cut at a time, in µs since 1970; raises as reading does."""
    journals = await source.journals()
    frontier = {facts.stream: await _last_by(source, facts, micros * 1_000) for facts in journals}
    if len(frontier) < 2:
        return Cut(frontier)
    return await _closed(source, frontier)


async def cut_behind(source: HistorySource, stream: str, sequence: int) -> Cut:
    """The cut just when a journal had stored this sequence; it is the journal's last one in it.

    Raises `Invalid` if there is no such sequence, and as reading does.
    """
    message = await source.message(stream, sequence)
    if message is None:
        raise Invalid(f"{stream} has no sequence {sequence} in {source.description}")
    journals = await source.journals()
    frontier = {facts.stream: await _last_by(source, facts, message.time) for facts in journals}
    frontier[stream] = sequence
    return Cut(frontier) if len(frontier) < 2 else await _closed(source, frontier)


async def _last_by(source: HistorySource, facts: JournalFacts, nanoseconds: int) -> int:
    """The last sequence that was stored by then: the server's times grow with sequences."""
    low, high = facts.first - 1, facts.last
    while low < high:
        middle = (low + high + 1) // 2
        message = await source.message(facts.stream, middle)
        if message is not None and message.time > nanoseconds:
            high = middle - 1
        else:
            low = middle
    return low


async def _closed(source: HistorySource, frontier: dict[str, int]) -> Cut:
    """Without what was caused behind the cut. One pass; then only numbers are compared."""
    sequences: dict[tuple[str, int], int] = {}
    caused: list[tuple[str, int, str, int]] = []
    for stream, last in frontier.items():
        batches = source.messages(stream)
        async with aclosing(batches):
            async for batch in batches:
                for message in batch:
                    if message.sequence > last:
                        break
                    link = _link(message)
                    if link is None:
                        continue
                    sequences[link.agent, link.revision] = message.sequence
                    cause = cause_of_command(link.command)
                    if cause is not None and cause.agent != link.agent:
                        caused.append((stream, message.sequence, cause.agent, cause.revision))
                if batch[-1].sequence > last:
                    break
    frontier, lowered, again = dict(frontier), set[str](), True
    while again:
        again = False
        for stream, sequence, agent, revision in caused:
            if sequence > frontier[stream]:
                continue
            home = source.topology.journal_of(AgentId.parse(agent).type)
            stands = sequences.get((agent, revision))
            if stands is None or stands > frontier.get(home, 0):
                frontier[stream] = sequence - 1
                lowered.add(stream)
                again = True
    return Cut(frontier, tuple(sorted(lowered)))
