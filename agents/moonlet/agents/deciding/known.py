"""Was it dealt with before? Of a delivery and of a question, by the fold alone.

Where the fold alone can't say, since what it counted has left memory and stands in a stored run,
the answer is a `LookUp`: data, for the caller to fetch.
"""

from typing import Any, Final

import msgspec

from moonlet.agents.deciding.queued_command import QueuedCommand
from moonlet.agents.deciding.verdict import LookUp, Verdict
from moonlet.agents.deciding.waiting import WaitingCommands
from moonlet.core.envelope import Envelope
from moonlet.core.fold import Fold, Seen, body_digest, plain_body, revision_of
from moonlet.core.marks import reached
from moonlet.core.memory import DOUBTED, WINDOW, holds, id_key, sent_by_agent, window_key

LOOK_UPS: Final = 64
"""Waiting commands of each lane whose senders are looked up at once."""


class Sought(msgspec.Struct, frozen=True):
    """A command that somebody asks for, by what names it."""

    id: str
    sender: str
    lane: str
    number: int


def known(fold: Fold[Any], queued: QueuedCommand, envelope: Envelope) -> Verdict | LookUp | None:
    """Whether an earlier commit dealt with a timer, a result, or a command without a number."""
    if envelope.timer:
        timer = fold.timers.get(envelope.timer)
        if timer is not None and timer.revision == envelope.number:
            return None if fold.fires(envelope) else Verdict.FOREIGN
        return _absent(fold, queued, envelope.number)
    if envelope.call:
        if envelope.call in fold.calls:
            return None
        return _absent(fold, queued, revision_of(envelope.call))
    return _known_by_id(fold, envelope)


def known_number(
    fold: Fold[Any], queued: QueuedCommand, envelope: Envelope, *, ahead: bool
) -> Verdict | LookUp | None:
    """Whether an earlier commit dealt with a numbered command; `ahead`: commits are in flight.

    WAIT if only the fold after these can say.
    """
    number, sender = envelope.number, envelope.sender
    name = sender, envelope.lane
    window, past = fold.windows.of.get(name), fold.past
    if past.any and name not in past.whole and (window is None or not sent_by_agent(sender)):
        all_known, window = past.window(name, window)
        if not all_known and not (window is not None and holds(window, sender, number)):
            return LookUp((window_key(*name),))
    if window is None:
        window = 0, 0
    if number <= window[0] and holds(window, sender, number):  # else it is newer than all
        return Verdict.ANSWER_AGAIN
    further = number - window[0] > WINDOW
    if (not further and window[1] < DOUBTED) or sent_by_agent(sender):
        return None
    # If it were believed, all that its sender numbers below would be taken for too old.
    if ahead:
        return Verdict.WAIT
    queued.by_id = further
    if further:
        reached("a client's number is further ahead than may be")
    return _known_by_id(fold, envelope)


def _known_by_id(fold: Fold[Any], envelope: Envelope) -> Verdict | LookUp | None:
    seen = seen_of(fold, envelope.id)
    if seen is None or isinstance(seen, LookUp):
        return seen
    same = seen.body == body_digest(envelope.name, plain_body(envelope.body))
    return Verdict.ANSWER_AGAIN if same else Verdict.CONFLICT


def seen_of(fold: Fold[Any], id: str) -> Seen | LookUp | None:
    """The commit of an id without a number, if there is one."""
    seen = fold.ids.get(id)
    if seen is not None or not fold.past.any:
        return seen
    key = id_key(id)
    all_known, fact = fold.past.find(key)
    if fact is not None:
        return Seen(fact[0], fact[1].decode())
    return None if all_known else LookUp((key,))


def is_committed(fold: Fold[Any], asked: Sought) -> bool | LookUp:
    """Whether a command that is asked for was committed, or is too old to be still in flight."""
    if asked.number:
        name = asked.sender, asked.lane
        window, all_known = fold.windows.of.get(name), True
        if fold.past.any and name not in fold.past.whole:
            all_known, window = fold.past.window(name, window)
        if window is not None and holds(window, asked.sender, asked.number):
            return True
        if not all_known:
            return LookUp((window_key(*name),))
        if asked.sender and not sent_by_agent(asked.sender):
            return False  # a command of this id that has no number is another
    seen = seen_of(fold, asked.id)
    return seen if isinstance(seen, LookUp) else seen is not None


def with_more(fold: Fold[Any], waiting: WaitingCommands, first: LookUp) -> LookUp:
    """The same, and what those that wait next will have to be looked up for."""
    keys = dict.fromkeys(first.keys)
    for queued in waiting.first(LOOK_UPS):
        envelope = queued.envelope
        if envelope is None or envelope.timer or envelope.call:
            continue
        if envelope.number:
            name = envelope.sender, envelope.lane
            window = fold.windows.of.get(name)
            if name in fold.past.whole or (window is not None and sent_by_agent(name[0])):
                continue
            key = window_key(*name)
        else:
            key = id_key(envelope.id)
        if not fold.past.find(key)[0]:
            keys[key] = None
    return LookUp(tuple(keys))


def _absent(fold: Fold[Any], queued: QueuedCommand, revision: int) -> Verdict:
    """What it means that the timer or call of that revision is not open.

    A former owner may have committed after we read the journal (found by simulation).
    """
    return Verdict.DONE if revision <= fold.revision or queued.sought else Verdict.READ_AGAIN
