"""One agent's history as a screen asks for it: its commits at once, its states once folded."""

import asyncio
from collections.abc import Callable, Set
from typing import Any, Final, Literal, NamedTuple

from moonlet.agents import AgentType
from moonlet.console.replay import Reading
from moonlet.console.tui.apart import Apart
from moonlet.console.tui.panels import (
    Panel,
    cause_panel,
    change_panel,
    commit_panel,
    effect_panel,
    state_panel,
    text_panel,
    value_panel,
)
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Invalid, Undecodable, UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.replay import (
    CommitPages,
    Condition,
    Keyframes,
    ScanLookup,
    Timeline,
    effects,
    why,
)
from moonlet.replay.changes import Path
from moonlet.replay.stepping import Stepper
from moonlet.streams import ParkedStacks

Seen = Literal["state", "value", "changes", "commit", "why", "effects"]

FOLDED: Final = ("state", "value", "changes")
"""What needs the agent type's code, and a fold."""


class PanelWish(NamedTuple):
    """What a panel is to show: of which revision, since which mark, how wide, of what state."""

    seen: Seen
    revision: int
    mark: int | None
    width: int
    toggled: Set[Path]
    path: Path


class PanelReader:
    """Reads through `apart`, but for commits that are in lists. Nothing is ever written."""

    def __init__(
        self,
        opened: Reading,
        apart: Apart,
        keyframes: Keyframes,
        agent: AgentId,
        code: AgentType[Any] | UnknownAgentType,
    ) -> None:
        self.agent = agent
        self._opened = opened
        self._apart = apart
        self._keyframes = keyframes
        self._code = code
        self._stepper: Stepper | None = None
        self._stacks = ParkedStacks(opened.bus, agent) if opened.bus is not None else None

    async def open(self) -> None:
        """Look at its end, now; raises as reading does, and leaves what was there before."""
        source = self._opened.source
        self._pages = await self._apart.run(lambda: CommitPages.open(source, self.agent))
        self._lookup = ScanLookup(source)
        self._stepper = None

    @property
    def last(self) -> int:
        """The last revision."""
        return self._pages.last

    async def commit(self, revision: int) -> Commit[Any] | None:
        """The commit of a revision, None of revision 0; raises as `CommitPages.commit`."""
        return await self._pages.commit(revision) if revision else None

    async def panel(self, wish: PanelWish) -> Panel:
        """What is asked for; a history that can't be read so far is told of in it."""
        try:
            if wish.seen in FOLDED:
                make = await self._apart.run(lambda: self._folded(wish))
            else:
                make = await self._told(wish)
            return await asyncio.to_thread(make)
        except (Undecodable, Corrupt, Invalid) as error:
            return text_panel(f"{self.agent}@{wish.revision} can't be shown: {error}", wish.width)

    async def _told(self, wish: PanelWish) -> Callable[[], Panel]:
        """What makes the panel of a commit."""
        commit = await self.commit(wish.revision)
        if commit is None:
            return lambda: Panel(["before the first commit"])
        if wish.seen == "commit":
            stack = await self._stacks.of(commit) if self._stacks is not None else ""
            return lambda: commit_panel(commit, stack, wish.width)
        if wish.seen == "why":
            chain = await self._apart.run(lambda: why(self._lookup, commit))
            return lambda: cause_panel(chain)
        tree = await self._apart.run(lambda: effects(self._lookup, commit))
        return lambda: effect_panel(tree)

    async def _folded(self, wish: PanelWish) -> Callable[[], Panel]:
        """What makes the panel of a state."""
        stepper = await self._at(wish.revision)
        here = stepper.here
        if wish.seen == "value":
            return lambda: value_panel(here, wish.path, wish.width)
        one_before = wish.seen == "state" or wish.mark is None
        mark = max(0, here.revision - 1) if one_before else wish.mark
        before = await stepper.timeline.at(mark or 0)
        if wish.seen == "changes":
            return lambda: change_panel(before, here)
        return lambda: state_panel(before, here, wish.toggled)

    async def _at(self, revision: int) -> Stepper:
        if isinstance(self._code, UnknownAgentType):
            raise self._code
        stepper = self._stepper
        if stepper is None:
            timeline = await Timeline.open(
                self._opened.source, self._code, self.agent, self._keyframes, self._apart.progress
            )
            stepper = self._stepper = await Stepper.at(timeline, min(revision, timeline.last))
        if stepper.revision != revision:
            await stepper.to(revision)
        return stepper

    async def stop(self, revision: int, wanted: str, *, back: bool) -> int | None:
        """From a revision to the next that has such a command or event, or where it holds."""
        is_name = wanted.isidentifier()
        condition = None if is_name else Condition(wanted)
        names = (wanted,) if is_name else ()

        async def search() -> int | None:
            stepper = await self._at(revision)
            return await stepper.to_break(names, condition, back=back)

        return await self._apart.run(search)

    async def change(self, revision: int, path: str, *, back: bool) -> int | None:
        """From a revision to the next that changes a path of the state."""

        async def search() -> int | None:
            return await (await self._at(revision)).to_change(path, back=back)

        return await self._apart.run(search)
