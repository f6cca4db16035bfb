"""The same what-if for many recorded conversations at once, compared one by one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.replay.causes import correlation_of
from moonlet.replay.forks.answers import Answer
from moonlet.replay.forks.forking import fork
from moonlet.replay.forks.recording import Recording

Measure = Callable[[list[Commit[Any]]], Any]
"""What is measured of a conversation's commits, in the order of their times."""


class Compared(msgspec.Struct, frozen=True):
    """One conversation as it happened and as it would have been: pairs of both."""

    correlation: str
    outcome: tuple[str, str]
    reply: tuple[Any, Any]
    length: tuple[int, int]
    measure: tuple[Any, Any]

    @property
    def differs(self) -> bool:
        """Whether anything of it came out otherwise."""
        pairs = (self.outcome, self.reply, self.length, self.measure)
        return any(then != now for then, now in pairs)


def cohort(
    record: Recording,
    types: Mapping[str, AgentType[Any]],
    correlations: Iterable[str],
    *,
    answer: Answer | None = None,
    measure: Measure = lambda commits: None,
) -> list[Compared]:
    """Run the whole record with other code or another `answer`, and compare these conversations.

    Raises `Invalid` for a conversation that there never was.
    """
    made = fork(record, types, answer=answer).commits
    happened = [each.plain() for each in record.commits]
    found: list[Compared] = []
    for correlation in correlations:
        then = [commit for commit in happened if correlation_of(commit) == correlation]
        now = [commit for commit in made if correlation_of(commit) == correlation]
        if not then:
            raise Invalid(f"{record.description} has no conversation {correlation!r}")
        found.append(
            Compared(
                correlation,
                (then[0].outcome, now[0].outcome if now else "gone"),
                (then[0].reply, now[0].reply if now else None),
                (len(then), len(now)),
                (measure(then), measure(now)),
            )
        )
    return found
