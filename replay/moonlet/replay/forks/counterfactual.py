"""On which causes an outcome really depended: the record is run on without them, and compared.

Single commands first, then pairs: two causes of which either suffices hide each other. As in
Halpern, "A Modification of the Halpern-Pearl Definition of Causality" (2015), but with the system
itself as the model.
"""

from collections.abc import Mapping
from itertools import combinations
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

    `together`: pairs of others that it needs one of. `undecided`: how many commands, or pairs, were
    not tried within the budget. Commands are points, as they were recorded.
    """

    point: str
    needed: list[str]
    together: list[tuple[str, str]]
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
    wanted = _outcome(record, types, outcome, (), answer)
    if wanted is None or wanted != said(outcome.plain()):
        raise Invalid(
            f"{point} comes out otherwise with today's code even if nothing is changed: see"
            f" `moonlet replay {point.agent}`"
        )
    end = record.commits.index(outcome)
    roots = [each for each in record.commits[:end] if each.cause is None]
    mine = _conversation(outcome)
    roots.sort(key=lambda each: (_conversation(each) != mine, -each.commit.wall_us))
    needed: list[Recorded] = []
    tried = undecided = 0
    for root in ([outcome] if outcome.cause is None else []) + roots:
        if tried >= runs:
            undecided += 1
            continue
        tried += 1
        if _outcome(record, types, outcome, (root,), answer) != wanted:
            needed.append(root)
    others = [root for root in roots if root not in needed]
    together: list[tuple[str, str]] = []
    for pair in combinations(others, 2):
        if tried >= runs:
            undecided += 1
            continue
        tried += 1
        if _outcome(record, types, outcome, pair, answer) != wanted:
            together.append((_point(pair[0]), _point(pair[1])))
    return Dependence(str(point), [_point(each) for each in needed], together, tried, undecided)


def _conversation(each: Recorded) -> str:
    return each.commit.command.correlation_id or each.commit.command.id


def _point(each: Recorded) -> str:
    return f"{each.commit.agent}@{each.commit.revision}"


def _outcome(
    record: Recording,
    types: Mapping[str, AgentType[Any]],
    outcome: Recorded,
    without: tuple[Recorded, ...],
    answer: Answer | None,
) -> Any:
    """What the command of `outcome` came to, or one that says the same; None if it never came."""
    drops = tuple(Drop(each.commit.agent, each.commit.command.id) for each in without)
    first = min(record.commits.index(each) for each in (*without, outcome))
    running = ForkRun(record, types, first, drops, answer)
    running.run()
    agent = outcome.commit.agent
    made = [(c, encoding) for c, encoding in running.made if c.agent == agent]
    for commit, encoding in made:
        if commit.command.id == outcome.commit.command.id:
            return said(plain_commit(commit, encoding))
    wanted = said(outcome.plain())
    alike = any(said(plain_commit(commit, encoding)) == wanted for commit, encoding in made)
    return wanted if alike else None
