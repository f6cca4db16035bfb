"""Since when a condition holds: the first revision, by halving, and whether it stayed so."""

import msgspec

from moonlet.core.errors import Invalid
from moonlet.core.hlc import Timestamp
from moonlet.replay.changes.condition import Condition, Names
from moonlet.replay.states import StateAt, Timeline, plain_state

CHECKED_MAX = 10_000
"""Revisions at which it is looked whether the condition stayed as it was; evenly spread."""


class Bisected(msgspec.Struct, frozen=True):
    """`first` is the first revision at which it holds, or None; `looks` is how often it was judged.

    `again` is a later revision at which it does not hold: then the condition is not monotone.
    Beyond `CHECKED_MAX` revisions `first` may be later than the very first, if it is not.
    """

    first: int | None
    last: int
    looks: int
    again: int | None = None


async def bisect(timeline: Timeline, condition: Condition) -> Bisected:
    """Find the first revision at which `condition` holds, in about log2(n) looks.

    Afterwards it is looked whether it is false before and true behind, at 10,000 revisions at
    most: at all, or of a longer history at the kept states. Raises `Invalid` if what it names
    never was in any state that was looked at, and as `Timeline.at`.
    """
    last = timeline.last
    looks = 0
    named = False

    async def holds(held: StateAt) -> bool:
        nonlocal looks, named
        looks += 1
        judged = condition.judge(await names_of(timeline, held, commit=condition.needs_commit))
        named = named or not judged.missing
        return judged.holds

    first: int | None = None
    if await holds(await timeline.at(0)):
        first = 0
    elif await holds(await timeline.at(last)):
        low, first = 0, last
        while first - low > 1:
            middle = (low + first) // 2
            if await holds(await timeline.at(middle)):
                first = middle
            else:
                low = middle
    again: int | None = None
    before = -1
    for revision in range(0, last + 1, max(1, (last + 1) // CHECKED_MAX)):
        held = await (timeline.at(revision) if last <= CHECKED_MAX else timeline.near(revision))
        if held.revision <= before:
            continue
        here, revision, before = await holds(held), held.revision, held.revision
        if here and (first is None or revision < first):
            first = revision
        elif not here and first is not None and revision > first and again is None:
            again = revision
    if not named:
        raise Invalid(
            f"what {condition.text!r} names is in no state of {timeline.agent}: see what there is"
            f" with `moonlet state {timeline.agent}`"
        )
    return Bisected(first, last, looks, again)


async def names_of(timeline: Timeline, at: StateAt, *, commit: bool = True) -> Names:
    """What a condition may speak of at a revision; of its commit only if `commit`."""
    time = at.time if at.revision else Timestamp(0)
    names = Names(plain_state(at.state), at.revision, time.datetime.isoformat(), "", {}, [])
    if not commit or not at.revision:
        return names
    try:
        found = await timeline.commit(at.revision)
    except Invalid:  # a repair left it out
        return names
    return msgspec.structs.replace(
        names,
        outcome=found.outcome,
        command={"name": found.command.name, "body": found.command.body},
        events=[{"name": each.name, "body": each.body} for each in found.events],
    )
