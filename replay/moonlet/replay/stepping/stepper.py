"""One place in an agent's history, and the ways from it."""

from collections.abc import Iterable
from typing import Any

from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.replay.changes import NOTHING, Change, Condition, changes, inside, names_of, parse_path
from moonlet.replay.states import SEGMENT, StateAt, Timeline, plain_state


class Stepper:
    """Stands after a revision; 0 is before the first commit. Never runs code with effects.

    Each step says where it ended: the revision, or None if there was nowhere to go, and then it
    stays where it was. Raises as `Timeline.at`.
    """

    def __init__(self, timeline: Timeline, here: StateAt) -> None:
        self.timeline = timeline
        self._here = here

    @classmethod
    async def at(cls, timeline: Timeline, revision: int = 0) -> "Stepper":
        """One that stands there."""
        return cls(timeline, await timeline.at(revision))

    @property
    def revision(self) -> int:
        """Where it stands."""
        return self._here.revision

    @property
    def here(self) -> StateAt:
        """The state there."""
        return self._here

    async def commit(self) -> Commit[Any] | None:
        """The commit there; None before the first."""
        return await self.timeline.commit(self.revision) if self.revision else None

    async def changed(self) -> list[Change]:
        """What the commit there changed."""
        if not self.revision:
            return []
        before = await self._plain(self.revision - 1)
        return changes(before, plain_state(self._here.state))

    async def to(self, revision: int) -> int:
        """Go to a revision; raises `Invalid` if there is none."""
        self._here = await self.timeline.at(revision)
        return revision

    async def forward(self) -> int | None:
        """One commit on."""
        at_end = self.revision >= self.timeline.last
        return None if at_end else await self.to(self.revision + 1)

    async def back(self) -> int | None:
        """One commit back."""
        return None if not self.revision else await self.to(self.revision - 1)

    async def to_change(self, path: str, *, back: bool = False) -> int | None:
        """To the next commit, or the one before, that changed what stands at a path.

        On the way the timeline's `progress` is called with the commits passed, and all that way.
        """
        parts = parse_path(path)
        if back:
            held = inside(await self._plain(max(0, self.revision - 1)), parts)
            for revision in range(self.revision - 1, 0, -1):
                self._tell(revision)
                now, held = held, inside(await self._plain(revision - 1), parts)
                if _differ(held, now):
                    return await self.to(revision)
            return None
        held = inside(plain_state(self._here.state), parts)
        for revision in range(self.revision + 1, self.timeline.last + 1):
            self._tell(revision)
            if _differ(held, inside(await self._plain(revision), parts)):
                return await self.to(revision)
        return None

    def _tell(self, revision: int) -> None:
        """How far the way to somewhere has come, from time to time."""
        if revision % SEGMENT == 0:
            passed = abs(revision - self.revision)
            self.timeline.progress(passed, max(passed, self.timeline.last))

    async def _plain(self, revision: int) -> Any:
        return plain_state((await self.timeline.at(revision)).state)

    async def to_break(
        self, names: Iterable[str] = (), condition: Condition | None = None, *, back: bool = False
    ) -> int | None:
        """To the next commit with one of these commands or events, or where a condition holds.

        `progress` is called as in `to_change`.
        """
        wanted = set(names)
        last = self.timeline.last
        path = range(self.revision - 1, 0, -1) if back else range(self.revision + 1, last + 1)
        for revision in path:
            self._tell(revision)
            if wanted and wanted & await self._said(revision):
                return await self.to(revision)
            if condition is not None:
                held = await self.timeline.at(revision)
                names_here = await names_of(self.timeline, held, commit=condition.needs_commit)
                if condition.judge(names_here).holds:
                    return await self.to(revision)
        return None

    async def _said(self, revision: int) -> set[str]:
        """The names of a commit's command and events; none if a repair left it out."""
        try:
            commit = await self.timeline.commit(revision)
        except Invalid:
            return set()
        return {commit.command.name, *(event.name for event in commit.events)}


def _differ(one: Any, other: Any) -> bool:
    if one is NOTHING or other is NOTHING:
        return one is not other
    return bool(changes(one, other))
