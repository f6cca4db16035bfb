"""One place in an agent's history, and the ways from it."""

from collections.abc import Iterable
from typing import Any

from moonlet.core.commit import Commit
from moonlet.replay.changes import NOTHING, Change, Condition, changes, inside, names_of, parse_path
from moonlet.replay.states import StateAt, Timeline, plain_state


class Stepper:
    """Stands after a revision; 0 is before the first commit. Never runs code with effects.

    Each step says where it ended: the revision, or None if there was nowhere to go, and then it
    stays where it was.
    """

    def __init__(self, timeline: Timeline, revision: int = 0) -> None:
        self.timeline = timeline
        self._here = timeline.at(revision)

    @property
    def revision(self) -> int:
        """Where it stands."""
        return self._here.revision

    @property
    def here(self) -> StateAt:
        """The state there."""
        return self._here

    @property
    def commit(self) -> Commit[Any] | None:
        """The commit there; None before the first."""
        return self.timeline.commit(self.revision) if self.revision else None

    def changed(self) -> list[Change]:
        """What the commit there changed."""
        if not self.revision:
            return []
        before = self.timeline.at(self.revision - 1)
        return changes(plain_state(before.state), plain_state(self._here.state))

    def to(self, revision: int) -> int:
        """Go to a revision; raises `Invalid` if there is none."""
        self._here = self.timeline.at(revision)
        return revision

    def forward(self) -> int | None:
        """One commit on."""
        at_end = self.revision >= self.timeline.last.revision
        return None if at_end else self.to(self.revision + 1)

    def back(self) -> int | None:
        """One commit back."""
        return None if not self.revision else self.to(self.revision - 1)

    def to_change(self, path: str, *, back: bool = False) -> int | None:
        """To the next commit, or the one before, that changed what stands at a path."""
        parts = parse_path(path)
        held = inside(plain_state(self.timeline.at(self.revision).state), parts)
        if back:
            held = self._before(self.revision, parts)
            for revision in range(self.revision - 1, 0, -1):
                now, before = held, self._before(revision, parts)
                if _differ(before, now):
                    return self.to(revision)
                held = before
            return None
        for revision in range(self.revision + 1, self.timeline.last.revision + 1):
            now = inside(plain_state(self.timeline.at(revision).state), parts)
            if _differ(held, now):
                return self.to(revision)
        return None

    def _before(self, revision: int, parts: Any) -> Any:
        """What stood there before the commit of a revision."""
        return inside(plain_state(self.timeline.at(max(0, revision - 1)).state), parts)

    def to_break(
        self, names: Iterable[str] = (), condition: Condition | None = None, *, back: bool = False
    ) -> int | None:
        """To the next commit with one of these commands or events, or where a condition holds."""
        wanted = set(names)
        last = self.timeline.last.revision
        path = range(self.revision - 1, 0, -1) if back else range(self.revision + 1, last + 1)
        for revision in path:
            commit = self.timeline.commit(revision)
            named = {commit.command.name, *(event.name for event in commit.events)}
            if wanted & named:
                return self.to(revision)
            if condition is not None:
                names_here = names_of(self.timeline, self.timeline.at(revision))
                if condition.judge(names_here).holds:
                    return self.to(revision)
        return None


def _differ(one: Any, other: Any) -> bool:
    if one is NOTHING or other is NOTHING:
        return one is not other
    return bool(changes(one, other))
