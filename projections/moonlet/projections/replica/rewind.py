"""Becoming the view as of an older frontier: from nothing, in the journals' own order."""

from contextlib import aclosing

from moonlet.core.errors import Invalid, Unavailable
from moonlet.core.frontier import Frontier
from moonlet.projections.replica.materialized_view import MaterializedView
from moonlet.projections.replica.probe import probe
from moonlet.streams import Bus, facts_up_to, read_messages


async def check_reachable(bus: Bus, materialized: MaterializedView, target: Frontier) -> None:
    """Raise `Invalid` if a journal ends before `target`; else as a probe does."""
    state = materialized.state
    for journal, at, mark in zip(state.journals.ids, state.vector, state.marks, strict=True):
        end = (await probe(bus, journal, at, mark)).last
        if target.at(journal.name) > end:
            raise Invalid(
                f"view {state.view.name} can't seek to sequence {target.at(journal.name)} of"
                f" {journal.name}, which ends at {end}"
            )


async def fold_until(bus: Bus, materialized: MaterializedView, target: Frontier) -> None:
    """Fold every journal up to `target`, inclusive; the view must not be past it."""
    state = materialized.state
    for journal, at in zip(state.journals.ids, list(state.vector), strict=True):
        until = target.at(journal.name)
        if until <= at:
            continue
        facts = await facts_up_to(bus, journal.name, until)
        if facts is None or facts.last < until:
            raise Unavailable(
                f"the journal {journal.name} does not go up to {until} just now: the server that"
                " answers is not up to date; seek again"
            )
        for subject in journal.subjects:
            start = at + 1
            async with aclosing(read_messages(bus, journal.name, subject, start=start)) as batches:
                async for batch in batches:
                    materialized.fold(journal.name, [m for m in batch if m.sequence <= until])
                    if batch[-1].sequence >= until:
                        break
        materialized.rise(journal.name, until, "")
