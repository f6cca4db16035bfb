"""Which commit gave each field the value that it has."""

from contextlib import aclosing
from typing import Any

import msgspec

from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.replay.changes.change import differences
from moonlet.replay.changes.paths import NOTHING, Path, inside, parse_path, show
from moonlet.replay.changes.walking import walk
from moonlet.replay.states import SEGMENT, Timeline, plain_state
from moonlet.streams import StoredMessage, decode_plain_commit

LEAVES_MAX = 100_000
"""Leaves that are told of; a path with more is refused."""


class Blamed(msgspec.Struct, frozen=True):
    """A leaf, its value, and the commit that last changed it; None if it is as it was at first."""

    path: str
    value: Any
    commit: Commit[Any] | None


async def blame(timeline: Timeline, path: str = "$", revision: int | None = None) -> list[Blamed]:
    """For each leaf under `path`, as of `revision` or now. Reads back as far as it must.

    Raises `Invalid` if there is no such path, and says whether there ever was, and as reading does.
    """
    root = parse_path(path)
    end = timeline.last if revision is None else revision
    value = inside(plain_state((await timeline.at(end)).state), root)
    if value is NOTHING:
        raise await _nothing(timeline, root, end)
    leaves = _leaves(value, root)
    found: dict[Path, Commit[Any] | None] = {}
    span = SEGMENT
    while end and len(found) < len(leaves):
        start = max(0, end - span)
        commits = await _changes(timeline, root, start, end)
        for leaf, _ in leaves:
            if leaf not in found and (commit := _last(commits, leaf)) is not None:
                found[leaf] = commit
        timeline.progress(timeline.last - start, timeline.last)
        end, span = start, 2 * span
    return [Blamed(show(leaf), held, found.get(leaf)) for leaf, held in leaves]


async def _changes(timeline: Timeline, root: Path, start: int, end: int) -> dict[Path, Commit[Any]]:
    """Path → the commit that changed it last, of those behind revision `start` up to `end`."""
    changed: dict[Path, StoredMessage] = {}
    state = plain = None
    passed = timeline.behind(start, end)
    async with aclosing(passed):
        async for message, before, after in passed:
            if after is before:
                continue
            old = inside(plain_state(before), root) if before is not state or not changed else plain
            state, plain = after, inside(plain_state(after), root)
            for path in _changed(old, plain, root):
                for known in [known for known in changed if known[: len(path)] == path]:
                    del changed[known]
                changed[path] = message
    return {path: decode_plain_commit(timeline.stream, each) for path, each in changed.items()}


async def _nothing(timeline: Timeline, root: Path, end: int) -> Invalid:
    """Why there is nothing at the path: all of the history is looked at."""
    state = plain_state((await timeline.at(0)).state)
    ever = inside(state, root) is not NOTHING
    walked = walk(timeline, 0, end)
    async with aclosing(walked):
        async for step in walked:
            state = step.after
            ever = ever or inside(state, root) is not NOTHING
    when = "any more" if ever else "and never had one"
    there = ", ".join(sorted(state)) if isinstance(state, dict) else "none"
    return Invalid(f"{timeline.agent} has no {show(root)} {when}; its state has: {there}")


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
