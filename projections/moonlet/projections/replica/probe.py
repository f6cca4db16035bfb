"""The connect probe: is this still the journal whose commits a view holds?

Asked before anything is served, and again with every consumer, so that a journal which was created
anew, went back, or lost commits is told apart from one that only has nothing new.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from moonlet.core.errors import Unavailable, Undecodable
from moonlet.core.frontier import Frontier
from moonlet.projections.errors import Break, DeltaRefused, JournalFault
from moonlet.projections.values import UNMARKED, JournalId, Mark
from moonlet.streams import Bus, Journal, StoredMessage, decode_commit, facts_up_to, stream_facts

_UNKNOWN_END: Final = 2**62

_ADVICE: Final = (
    "Compare with a backup and run `moonlet doctor`. If the journal as it is now is the one to go"
    " by, delete the view's file and start again: it is rebuilt"
)


class Ends(NamedTuple):
    """The first and last sequence that a journal holds now."""

    first: int
    last: int


async def find_journal(bus: Bus, name: str, subjects: tuple[str, ...]) -> JournalId:
    """The journal stream `name` in its present incarnation; raises `JournalFault` if it is gone."""
    if await stream_facts(bus, name) is None:
        raise _gone(name)
    return JournalId(name, await Journal(bus, name).incarnation(), subjects)


async def probe(bus: Bus, journal: JournalId, frontier: int, mark: Mark = UNMARKED) -> Ends:
    """Compare a journal with what was folded of it: up to `frontier`, `mark` being one commit.

    Raises `JournalFault`; `Unavailable` if the journal can't be asked now.
    """
    name = journal.name
    facts = await facts_up_to(bus, name, frontier)
    if facts is None:
        raise _gone(name)
    check_incarnation(journal, await Journal(bus, name).incarnation())
    ends = Ends(facts.first, facts.last)
    if ends.last < frontier:
        raise _fault(
            "rolled back",
            name,
            f"it ends at sequence {ends.last}, but {frontier} was folded: it was restored from an"
            " older backup, or lost commits that were acknowledged",
            frontier,
        )
    if ends.first > frontier + 1:
        raise _fault(
            "retention hole",
            name,
            f"it begins at sequence {ends.first}, but only {frontier} was folded: what lies between"
            " was removed from it",
            frontier,
        )
    await _check_mark(bus, name, ends, mark)
    return ends


def check_incarnation(journal: JournalId, now: str) -> None:
    """Raise `JournalFault` unless `journal`, as it was folded, is of the incarnation `now`."""
    if journal.incarnation != now:
        raise _fault(
            "re-created",
            journal.name,
            f"it is the incarnation {now}, but {journal.incarnation} was folded: the stream was"
            " deleted and created anew, or an operator raised its epoch",
        )


async def check_marks(bus: Bus, journals: Sequence[JournalId], marks: Sequence[Mark]) -> Frontier:
    """Compare another replica's marks with the journals; returns the journals' ends.

    A journal that can't be read can't be compared: there the other is believed. Raises
    `DeltaRefused` if the other has folded another history.
    """
    ends: dict[str, int] = {}
    for journal, mark in zip(journals, marks, strict=True):
        try:
            ends[journal.name] = await _compared_end(bus, journal.name, mark)
        except Unavailable:
            ends[journal.name] = _UNKNOWN_END
    return Frontier(ends)


async def _compared_end(bus: Bus, name: str, mark: Mark) -> int:
    facts = await stream_facts(bus, name)
    if facts is None:
        raise _gone(name)
    sequence, digest = mark
    if not digest or not facts.first <= sequence <= facts.last:
        return facts.last
    message = await Journal(bus, name).message(sequence)
    if message is not None and digest_of(name, message) != digest:
        raise DeltaRefused(
            f"the other replica has folded another commit at sequence {sequence} of {name} than"
            " stands there: its journal went back, or ours; run `moonlet doctor`",
            fault="incarnation",
        )
    return facts.last


async def _check_mark(bus: Bus, name: str, ends: Ends, mark: Mark) -> None:
    sequence, digest = mark
    if not digest or sequence < ends.first:
        return
    message = await Journal(bus, name).message(sequence)
    if message is None:
        raise _fault(
            "retention hole", name, f"the commit at sequence {sequence} was deleted", sequence
        )
    if digest_of(name, message) != digest:
        raise _fault(
            "rolled back and grown",
            name,
            f"the commit at sequence {sequence} is another one than was folded: the journal lost"
            " its end, and others were written in its place",
            sequence,
        )


def digest_of(journal: str, message: StoredMessage) -> str:
    """The digest of a stored commit; empty if the message is none."""
    try:
        return decode_commit(journal, message)[0].digest
    except Undecodable:
        return ""


def _gone(name: str) -> JournalFault:
    return JournalFault(
        f"the journal {name} doesn't exist: start a host, which creates it, or correct the topology"
        " and the prefix; if it did exist, restore it from a backup",
        fault="gone",
        stream=name,
    )


def _fault(fault: Break, name: str, what: str, sequence: int = 0) -> JournalFault:
    return JournalFault(
        f"the journal {name} is {fault}: {what}. {_ADVICE}"
        if fault != "retention hole"
        else f"the journal {name} has a hole: {what}. Restore it from a backup; or delete the"
        " view's file and start again while another replica runs, to join from that",
        fault=fault,
        stream=name,
        sequence=sequence,
    )
