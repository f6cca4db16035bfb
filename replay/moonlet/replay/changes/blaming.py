"""Which commit gave each field the value that it has."""

from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay.changes.change import differences
from moonlet.replay.changes.paths import NOTHING, Path, inside, parse_path, show
from moonlet.replay.changes.walking import walk
from moonlet.replay.sources import HistorySource, Progress, last_revision
from moonlet.replay.states import plain_state

LEAVES_MAX = 100_000
"""Leaves that are told of; a path with more is refused."""


TOLD_EVERY = 256
"""Commits between two calls of `progress`."""


class Blamed(msgspec.Struct, frozen=True):
    """A leaf, its value, and the commit that last changed it; None if it is as it was at first."""

    path: str
    value: Any
    commit: Commit[Any] | None


async def blame(
    source: HistorySource,
    agent_type: AgentType[Any],
    agent: AgentId,
    path: str = "$",
    revision: int | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Blamed]:
    """For each leaf under `path`, as of `revision` or now. One pass over the history.

    Raises `Invalid` if there is no such path, and says whether there ever was; `LimitExceeded`.
    """
    root = parse_path(path)
    initial = plain_state(agent_type.behavior.initial())
    state = initial
    commits: dict[Path, Commit[Any]] = {}
    ever = inside(initial, root) is not NOTHING
    if revision != 0:
        total = revision or await last_revision(source, agent)
        async for walked in walk(source, agent_type, agent, revision):
            if walked.commit.revision % TOLD_EVERY == 0:
                progress(walked.commit.revision, max(total, walked.commit.revision))
            state = walked.after
            if walked.after is walked.before:
                continue
            old, new = inside(walked.before, root), inside(walked.after, root)
            ever = ever or new is not NOTHING
            if old is new:
                continue
            for changed in _changed(old, new, root):
                for known in [known for known in commits if known[: len(changed)] == changed]:
                    del commits[known]
                commits[changed] = walked.commit
    value = inside(state, root)
    if value is NOTHING:
        when = "any more" if ever else "and never had one"
        there = ", ".join(sorted(state)) if isinstance(state, dict) else "none"
        raise Invalid(f"{agent} has no {show(root)} {when}; its state has: {there}")
    leaves = _leaves(value, root)
    return [Blamed(show(leaf), held, _last(commits, leaf)) for leaf, held in leaves]


def _changed(old: Any, new: Any, root: Path) -> list[Path]:
    if old is NOTHING or new is NOTHING:
        return [root]
    return [path for path, _, _ in differences(old, new, root)]


def _last(commits: dict[Path, Commit[Any]], leaf: Path) -> Commit[Any] | None:
    """The newest change of the leaf or of what it stands in."""
    found: Commit[Any] | None = None
    for length in range(len(leaf) + 1):
        commit = commits.get(leaf[:length])
        if commit is not None and (found is None or commit.revision > found.revision):
            found = commit
    return found


def _leaves(value: Any, root: Path) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = []
    waiting: list[tuple[Path, Any]] = [(root, value)]
    while waiting:
        path, held = waiting.pop()
        inner: list[tuple[Path, Any]] = []
        if isinstance(held, dict) and held:
            inner = [((*path, key), each) for key, each in held.items()]
        elif isinstance(held, list) and held:
            inner = [((*path, index), each) for index, each in enumerate(held)]
        else:
            found.append((path, held))
        if len(found) + len(waiting) + len(inner) > LEAVES_MAX:
            raise Invalid(
                f"{show(root)} has more than {LEAVES_MAX:,} leaves: name a path further inside"
            )
        waiting += reversed(inner)
    return found
