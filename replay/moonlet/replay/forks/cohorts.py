"""The same what-if for many recorded conversations at once, compared one by one."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.replay.causes import correlation_of
from moonlet.replay.changes import said
from moonlet.replay.forks.answers import Answer
from moonlet.replay.forks.forking import fork
from moonlet.replay.forks.recording import Recording
from moonlet.replay.forks.settings import Settings
from moonlet.replay.states import plain_state

Measure = Callable[[list[Commit[Any]]], Any]
"""What is measured of a conversation's commits, in the order of their times: any plain data."""


class Compared(msgspec.Struct, frozen=True):
    """One conversation as it happened and as it would have been: pairs of both.

    It began with the commit `began`, of a command `command`, whose outcome and reply are compared.
    `otherwise` counts its commits that are gone, new, or decided otherwise.
    """

    correlation: str
    began: str
    command: str
    outcome: tuple[str, str]
    reply: tuple[Any, Any]
    length: tuple[int, int]
    otherwise: int
    measure: tuple[Any, Any]

    @property
    def differs(self) -> bool:
        """Whether anything of it came out otherwise."""
        return self.otherwise > 0 or self.measure[0] != self.measure[1]


class Cohort(msgspec.Struct, frozen=True):
    """The conversations that were compared, and what the whole fork leaves open, as in `Fork`."""

    conversations: list[Compared]
    unanswered: list[str]
    codeless: list[str]
    failed: dict[str, str]
    stopped: str
    digest: str


def conversations(record: Recording, agents: str = "*", command: str = "") -> list[str]:
    """The correlations of conversations in the order of their beginnings.

    Those whose first commit is of an agent that the pattern `agents` fits, like `order/*`, and of a
    command of that name, if one is given.
    """
    begun: dict[str, Commit[Any]] = {}
    for each in record.commits:
        begun.setdefault(correlation_of(each.commit), each.commit)
    return [
        correlation
        for correlation, first in begun.items()
        if fnmatchcase(first.agent, agents) and command in ("", first.command.name)
    ]


def cohort(
    record: Recording,
    types: Mapping[str, AgentType[Any]],
    correlations: Iterable[str],
    *,
    answer: Answer | None = None,
    measure: Measure = lambda commits: None,
    settings: Settings = MappingProxyType({}),
) -> Cohort:
    """Run the whole record with the code of `types`, and compare these conversations.

    `settings` are as in `fork`.

    `answer` is asked for every call of theirs; where it returns None, and in all others, calls are
    answered from the record while their content is the same. They run on together, so one may come
    out otherwise for another's sake. Raises `Invalid` for a conversation that there never was, and
    for a `measure` that fails or gives no plain data.
    """
    wanted = dict.fromkeys(correlations)
    then: dict[str, list[Commit[Any]]] = {each: [] for each in wanted}
    for recorded in record.commits:
        correlation = correlation_of(recorded.commit)
        if correlation in wanted:
            then[correlation].append(recorded.plain())
    for correlation in wanted:
        if not then[correlation]:
            raise Invalid(f"{record.description} has no conversation {correlation!r}")
    for recorded in record.commits[: record.opens]:
        commit = recorded.commit
        if correlation_of(commit) in wanted:
            raise Invalid(
                f"{commit.agent}@{commit.revision} is before a repair, and can't be run again: ask"
                " for conversations behind it"
            )
    afresh = frozenset(wanted) if answer is not None else frozenset()
    made = fork(record, types, answer=answer, afresh=afresh, settings=settings)
    now: dict[str, list[Commit[Any]]] = {each: [] for each in wanted}
    for commit in made.commits:
        correlation = correlation_of(commit)
        if correlation in wanted:
            now[correlation].append(commit)
    return Cohort(
        [_compared(each, then[each], now[each], measure) for each in wanted],
        made.unanswered,
        made.codeless,
        made.failed,
        made.stopped,
        made.digest,
    )


def _compared(
    correlation: str, then: list[Commit[Any]], now: list[Commit[Any]], measure: Measure
) -> Compared:
    first = then[0]
    again = next((each for each in now if _name(each) == _name(first)), None)
    return Compared(
        correlation,
        f"{first.agent}@{first.revision}",
        first.command.name,
        (first.outcome, again.outcome if again is not None else "gone"),
        (first.reply, again.reply if again is not None else None),
        (len(then), len(now)),
        _otherwise(then, now),
        (_measured(measure, correlation, then), _measured(measure, correlation, now)),
    )


def _name(commit: Commit[Any]) -> tuple[str, str]:
    return commit.agent, commit.command.id


def _otherwise(then: list[Commit[Any]], now: list[Commit[Any]]) -> int:
    theirs = {_name(commit): said(commit) for commit in then}
    ours = {_name(commit): said(commit) for commit in now}
    return sum(theirs.get(name) != ours.get(name) for name in {**theirs, **ours})


def _measured(measure: Measure, correlation: str, commits: list[Commit[Any]]) -> Any:
    """None of a conversation that is gone."""
    if not commits:
        return None
    try:
        return plain_state(measure(commits))
    except Exception as error:
        line = error.__traceback__
        while line is not None and line.tb_next is not None:
            line = line.tb_next
        where = f" ({line.tb_frame.f_code.co_filename}:{line.tb_lineno})" if line else ""
        raise Invalid(
            f"the measure of conversation {correlation} failed: {type(error).__name__}:"
            f" {error}{where}; it takes a list of commits, and returns plain data"
        ) from error
