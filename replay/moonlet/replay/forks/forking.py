"""Forking a record, and what came of it: per agent, what differs from what happened."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.core.commit import Commit
from moonlet.core.digest import record_digest
from moonlet.core.errors import Invalid
from moonlet.replay.changes import Change as Changed
from moonlet.replay.changes import changes, said
from moonlet.replay.forks.answers import Answer
from moonlet.replay.forks.edits import Change, Insert
from moonlet.replay.forks.fork_run import ForkRun
from moonlet.replay.forks.recording import Recording, plain_commit
from moonlet.replay.forks.settings import Settings, set_to
from moonlet.replay.points import Point
from moonlet.replay.states import plain_state


class AgentFork(msgspec.Struct, frozen=True):
    """One agent that came out otherwise. `gone` and `new` are commands, by their ids.

    `first` is the first commit of the fork that differs, None if it lacks the end of what happened;
    `state` what differs in the state at the end.
    """

    agent: str
    happened: int
    forked: int
    first: Commit[Any] | None
    gone: list[str]
    new: list[str]
    otherwise: list[str]
    state: list[Changed]


class Fork(msgspec.Struct, frozen=True):
    """What would have been. `commits` are the fork's own, bodies plain, in the order of times.

    `unanswered` are calls that nobody answered, `codeless` agent types whose code is not known,
    `failed` agents whose history could not be folded on. `digest` is of all that came out.
    """

    at: str
    commits: list[Commit[Any]]
    agents: list[AgentFork]
    states: dict[str, Any]
    unanswered: list[str]
    codeless: list[str]
    failed: dict[str, str]
    stopped: str
    digest: str


def fork(
    record: Recording,
    types: Mapping[str, AgentType[Any]],
    edits: Sequence[Change] = (),
    *,
    at: Point | None = None,
    answer: Answer | None = None,
    afresh: Collection[str] = (),
    settings: Settings = MappingProxyType({}),
) -> Fork:
    """Run the record on from just before the commit `at`, with `edits` and the code of `types`.

    `settings` are constants of code, `MODULE:NAME`, that have another value from there on; what
    happened is folded with the values that they have.

    Without `at`: from just before the first command that is edited; without edits from the
    beginning, or from behind the last repair. Nothing real is touched. Calls outside are answered
    from the record while their content is the same, else by `answer`; in the conversations `afresh`
    (correlations) by `answer` first. What came of agents that are not decided here, since the
    record or `types` lacks them, comes as it did. States are compared as `types` folds what
    happened: what a changed fold alone would have made of the same events is no difference.
    Raises `Invalid` for commands that there never were, for a point before a repair of any agent,
    for answers that no handler takes, and for settings that code does not have.
    """
    start = _start(record, edits, at)
    running = ForkRun(record, types, start, tuple(edits), answer, afresh)
    with set_to(settings):
        running.run()
    made = [plain_commit(commit, encoding) for commit, encoding in running.made]
    happened = _by_agent([each.plain() for each in record.commits[start:]])
    forked = _by_agent(made)
    known = {agent for agent in record.by_agent if agent.partition("/")[0] in types}
    whole = ForkRun(record, types, len(record.commits), (), None)
    states = {agent: plain_state(fold.state) for agent, fold in sorted(running.folds.items())}
    agents = []
    for agent in sorted(known | set(states)):
        fold = whole.folds.get(agent)
        then = plain_state(fold.state) if fold is not None else None
        differ = changes(then, states.get(agent))
        came = _agent(agent, happened.get(agent, {}), forked.get(agent, {}), differ)
        if came is not None:
            agents.append(came)
    told = [(c.agent, c.revision, c.command.id, said(c)) for c in made]
    return Fork(
        str(at) if at is not None else _name(record, start),
        made,
        agents,
        states,
        running.unanswered,
        sorted(running.codeless),
        running.failed,
        running.stopped,
        record_digest(msgspec.json.encode([told, states])),
    )


def _start(record: Recording, edits: Sequence[Change], at: Point | None) -> int:
    """The place in the record of the first commit that is not taken as it was."""
    places = {each.name: number for number, each in enumerate(record.commits)}
    starts: list[int] = []
    for edit in edits:
        if isinstance(edit, Insert):
            later = (n for n, e in enumerate(record.commits) if e.commit.wall_us >= edit.micros)
            starts.append(next(later, len(record.commits)))
            continue
        name = edit.agent, edit.command
        if name not in places:
            raise Invalid(f"{record.description} has no command {edit.command!r} to {edit.agent}")
        starts.append(places[name])
        before = getattr(edit, "before_agent", None), getattr(edit, "before_command", None)
        if before[0] is not None:
            if before not in places:
                raise Invalid(f"{record.description} has no command {before[1]!r} to {before[0]}")
            starts.append(places[before])
    first = min(starts, default=record.opens)
    if at is None:
        return first
    if not at.revision:
        return 0
    start = places[record.at(str(at.agent), at.revision).name]
    if starts and first < start:
        raise Invalid(f"a command is edited that was decided before {at}: fork earlier")
    return start


def _name(record: Recording, start: int) -> str:
    if start >= len(record.commits):
        return "the end"
    commit = record.commits[start].commit
    return f"{commit.agent}@{commit.revision}"


def _by_agent(commits: list[Commit[Any]]) -> dict[str, dict[str, Commit[Any]]]:
    """Agent → command id → commit."""
    found: dict[str, dict[str, Commit[Any]]] = {}
    for commit in commits:
        found.setdefault(commit.agent, {})[commit.command.id] = commit
    return found


def _agent(
    agent: str,
    theirs: Mapping[str, Commit[Any]],
    ours: Mapping[str, Commit[Any]],
    state: list[Changed],
) -> AgentFork | None:
    """What differs of an agent; commands are the same if their ids are, wherever they stand."""
    gone = [id for id in theirs if id not in ours]
    new = [id for id in ours if id not in theirs]
    both = [id for id in ours if id in theirs]
    otherwise = [id for id in both if said(ours[id]) != said(theirs[id])]
    if not (gone or new or otherwise or state):
        return None
    odd = {*new, *otherwise}
    first = next((commit for commit in ours.values() if commit.command.id in odd), None)
    return AgentFork(agent, len(theirs), len(ours), first, gone, new, otherwise, state)
