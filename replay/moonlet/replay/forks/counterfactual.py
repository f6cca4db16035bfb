"""On which causes an outcome really depended: the record is run on without them, and compared.

Single commands first, then minimal sets: causes of which any suffices hide each other. As in
Halpern, "A Modification of the Halpern-Pearl Definition of Causality" (2015), but with the system
itself as the model. All minimal sets are found as in Reiter, "A Theory of Diagnosis from First
Principles" (1987), by its tree of hitting sets; each one by delta debugging.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.core.errors import Invalid
from moonlet.replay.changes import said
from moonlet.replay.forks.answers import Answer
from moonlet.replay.forks.edits import Drop
from moonlet.replay.forks.fork_run import ForkRun
from moonlet.replay.forks.recording import Recorded, Recording, plain_commit
from moonlet.replay.points import Point

RUNS = 200
"""How often the record is run on at most, unless somebody says otherwise."""


class Dependence(msgspec.Struct, frozen=True):
    """`needed`: commands from outside without any of which the outcome is another.

    `together`: minimal sets of two or more others of each of which it needs one, whichever.
    `undecided`: how many commands, or searches for a further set, were not tried to their end
    within the budget, or lie before a repair; 0 says that there are no more, as far as leaving out
    more commands never brings the outcome back. Commands are points, as they were recorded.
    """

    point: str
    needed: list[str]
    together: list[tuple[str, ...]]
    tried: int
    undecided: int


def depends_on(
    record: Recording,
    types: Mapping[str, AgentType[Any]],
    point: Point,
    *,
    runs: int = RUNS,
    answer: Answer | None = None,
) -> Dependence:
    """Drop each command from outside that was decided before `point`, the nearest first.

    The outcome is the commit of the point's command: what it decided, whatever its revision.
    Raises `Invalid` if the point is no commit, or does not come out of a run without any change:
    then the code is not what it was, and nothing can be said.
    """
    outcome = record.at(str(point.agent), point.revision)
    trials = _Trials(record, types, outcome, answer, runs)
    if trials.come_to(()) != trials.wanted:
        raise Invalid(
            f"{point} comes out otherwise with today's code even if nothing is changed: see"
            f" `moonlet replay {point.agent}`"
        )
    roots = [e for e in record.commits[: trials.places[outcome.name]] if e.cause is None]
    mine = _conversation(outcome)
    roots.sort(key=lambda each: (_conversation(each) != mine, -each.commit.wall_us))
    needed: list[str] = []
    others: list[Recorded] = []
    before = [each for each in roots if trials.places[each.name] < record.opens]
    undecided = sum(each.commit.repair is None for each in before)
    roots = [each for each in roots if trials.places[each.name] >= record.opens]
    for root in ([outcome] if outcome.cause is None else []) + roots:
        try:
            if trials.differs_without([root]):
                needed.append(_point(root))
            else:
                others.append(root)
        except _Spent:
            undecided += 1
    together, unfinished = _minimal_sets(others, trials)
    named = [tuple(_point(each) for each in found) for found in together]
    return Dependence(str(point), needed, named, trials.tried, undecided + unfinished)


class _Spent(Exception):
    """The record was run on as often as it may be."""


class _Trials:
    """Runs without some of the commands, none of them twice, and how many there may still be."""

    def __init__(
        self,
        record: Recording,
        types: Mapping[str, AgentType[Any]],
        outcome: Recorded,
        answer: Answer | None,
        runs: int,
    ) -> None:
        self._record = record
        self._types = types
        self._outcome = outcome
        self._answer = answer
        self._runs = runs
        self._known: dict[frozenset[tuple[str, str]], bool] = {frozenset(): False}
        self.places = {each.name: place for place, each in enumerate(record.commits)}
        self.wanted = said(outcome.plain())
        self.tried = 0

    def differs_without(self, dropped: Sequence[Recorded]) -> bool:
        """Whether the outcome is another without them; raises `_Spent`."""
        names = frozenset(each.name for each in dropped)
        if names not in self._known:
            if self.tried >= self._runs:
                raise _Spent
            self.tried += 1
            self._known[names] = self.come_to(dropped) != self.wanted
        return self._known[names]

    def come_to(self, dropped: Sequence[Recorded]) -> Any:
        """What the outcome's command came to, or a new one that says the same; None if neither.

        A command that the record has as another is that one, though it may say the same.
        """
        drops = tuple(Drop(each.commit.agent, each.commit.command.id) for each in dropped)
        first = min(self.places[each.name] for each in (*dropped, self._outcome))
        running = ForkRun(self._record, self._types, first, drops, self._answer)
        running.run()
        for commit, encoding in running.made:
            if (commit.agent, commit.command.id) == self._outcome.name:
                return said(plain_commit(commit, encoding))
        for commit, encoding in running.made:
            is_new = (commit.agent, commit.command.id) not in self._record.by_command
            if commit.agent == self._outcome.commit.agent and is_new:
                plain = said(plain_commit(commit, encoding))
                if plain == self.wanted:
                    return plain
        return None


def _minimal_sets(others: Sequence[Recorded], trials: _Trials) -> tuple[list[list[Recorded]], int]:
    """All minimal sets of `others` that the outcome needs one of, and how many searches were left.

    Where the outcome is another without all commands that are left, these hold a minimal set;
    further ones lack one of its members, each in turn.
    """
    from moonlet.simulations.search import ddmin  # simulations: 100 ms

    found: dict[frozenset[tuple[str, str]], list[Recorded]] = {}
    waiting: list[frozenset[tuple[str, str]]] = [frozenset()]
    seen = set(waiting)
    unfinished = 0
    while waiting:
        kept = waiting.pop(0)
        minimal = next((own for names, own in found.items() if not names & kept), None)
        if minimal is None:
            left = [each for each in others if each.name not in kept]
            try:
                if not trials.differs_without(left):
                    continue
                minimal = ddmin(left, trials.differs_without, lambda: False)
            except _Spent:
                unfinished += 1
                continue
            found[frozenset(each.name for each in minimal)] = minimal
        branches = [kept | {each.name} for each in minimal]
        waiting += [branch for branch in branches if branch not in seen]
        seen.update(branches)
    return list(found.values()), unfinished


def _conversation(each: Recorded) -> str:
    return each.commit.command.correlation_id or each.commit.command.id


def _point(each: Recorded) -> str:
    return f"{each.commit.agent}@{each.commit.revision}"
