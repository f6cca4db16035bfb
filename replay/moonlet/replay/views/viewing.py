"""A view as of a cut, folded anew from the journals; no replica and no file has part in it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from moonlet.core.errors import Corrupt, Undecodable
from moonlet.projections import JournalId, View, ViewState, journals_of
from moonlet.replay.sources import HistorySource, Progress
from moonlet.replay.states import Cut
from moonlet.streams import StoredMessage, decode_commit


async def view_at(
    source: HistorySource,
    view: View,
    cut: Cut | None = None,
    progress: Progress = lambda done, total: None,
) -> ViewState:
    """The view as it was at the cut, or is now; records that a repair leaves out are passed over.

    A commit that was skipped by hand in a replica is folded here. Raises `PoisonedEvent` for an
    event that can't be folded, `Undecodable` and `Corrupt` for a record, `Unavailable`.
    """
    subjects = journals_of(source, view)
    facts = {each.stream: each for each in await source.journals() if each.stream in subjects}
    ends = {name: each.last if cut is None else cut.frontier[name] for name, each in facts.items()}
    incarnations = {name: each.incarnation for name, each in facts.items()}
    ids = [JournalId(name, incarnations.get(name, ""), subjects[name]) for name in subjects]
    state, done, total = ViewState(view, ids), 0, sum(ends.values())
    for name, end in ends.items():
        batches = _up_to(source, name, subjects[name], end)
        async with aclosing(batches):
            async for batch in batches:
                for message in batch:
                    await _fold(source, state, name, message)
                progress(done + min(end, batch[-1].sequence if batch else 0), total)
        state.advance(name, end)
        done += end
    return state


async def _up_to(
    source: HistorySource, name: str, subjects: Sequence[str], end: int
) -> AsyncGenerator[list[StoredMessage], None]:
    """A journal's messages up to a sequence, in its order: of all of these subjects."""
    alone = subjects[0] if len(subjects) == 1 else ">"
    heads = tuple(subject[:-1] for subject in subjects)  # each ends with a wildcard
    batches = source.messages(name, alone)
    async with aclosing(batches):
        async for batch in batches:
            last = batch[-1].sequence
            if last > end or alone != subjects[0]:
                batch = [
                    message
                    for message in batch
                    if message.sequence <= end and (alone != ">" or _is_of(message, heads))
                ]
            yield batch
            if last >= end:
                return


def _is_of(message: StoredMessage, heads: tuple[str, ...]) -> bool:
    return "" in heads or message.subject.startswith(heads)


async def _fold(source: HistorySource, state: ViewState, name: str, message: StoredMessage) -> None:
    try:
        commit, encoding = decode_commit(name, message)
    except (Undecodable, Corrupt):
        agent = source.subjects.journal_agent(message.subject)
        skip = None if agent is None else (await source.skips(agent)).get(message.sequence)
        if agent is not None and (skip is None or skip.what != "record"):
            raise
        return
    state.fold(commit, name, encoding=encoding)
