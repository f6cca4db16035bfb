"""One agent's history: its commits, a slider, and beside it state, change or causes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, Literal, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer, Static

from moonlet.agents import AgentType
from moonlet.console.replay import moment
from moonlet.console.tui.asking_line import AskingLine
from moonlet.console.tui.base_screen import BaseScreen
from moonlet.console.tui.line_list import LineList
from moonlet.console.tui.panels import Panel, cause_panel, change_panel, effect_panel
from moonlet.console.tui.printable import label, printable, value_text
from moonlet.console.tui.state_lines import StateLine, state_lines, styled
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, MoonletError, Undecodable
from moonlet.core.ids import AgentId
from moonlet.replay import Condition, Lookup, ScanLookup, Timeline, effects, plain_state, why
from moonlet.replay.changes import Path
from moonlet.replay.changes import show as show_path
from moonlet.replay.stepping import Stepper

Seen = Literal["state", "changes", "why", "effects"]

T = TypeVar("T")

LINES_KEPT: Final = 10_000
"""Lines of commits that are kept, once they were seen."""

COLORS: Final = {"accepted": "", "rejected": "yellow", "expired": "yellow", "parked": "red"}


class HistoryScreen(BaseScreen):
    """Line n of the commits is revision n, and line 0 what was before the first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "see('state')", "state"),
        Binding("d", "see('changes')", "changes"),
        Binding("w", "see('why')", "why"),
        Binding("e", "see('effects')", "effects"),
        Binding("m", "mark", "mark"),
        Binding("slash", "ask_stop", "stop at"),
        Binding("n", "stop(False)", show=False),
        Binding("N", "stop(True)", show=False),
        Binding("x", "change(False)", "next change"),
        Binding("X", "change(True)", show=False),
        Binding("left", "slide(-1)", show=False),
        Binding("right", "slide(1)", show=False),
        Binding("tab", "other_side", show=False, priority=True),
        Binding("r", "reload", show=False),
    ]

    def __init__(self, agent: AgentId, code: AgentType[Any], revision: int | None) -> None:
        super().__init__()
        self.agent = agent
        self._code = code
        self._wanted = revision
        self._stepper: Stepper | None = None
        self._lookup: Lookup
        self._reading = asyncio.Lock()  # a timeline is read by one at a time
        self._lines: dict[int, Text] = {}
        self._missing: set[int] = set()
        self._seen: Seen = "state"
        self._mark: int | None = None
        self._stop = ""
        self._toggled: set[Path] = set()
        self._state: list[StateLine] = []
        self._panel = Panel([], [])
        self._done = (0, 0)

    def compose(self) -> ComposeResult:
        """Head, slider, commits beside the panel, the line that asks, keys."""
        yield Static(f"{printable(str(self.agent))}", id="head", markup=False)
        yield Static(id="slider", markup=False)
        with Horizontal(id="both"):
            yield LineList("commits")
            yield LineList("panel")
        yield AskingLine()
        yield Static(id="same", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Read the history."""
        self.query_one("#commits", LineList).focus()
        self.set_interval(0.2, self._show_progress)
        self.action_reload()

    # reading

    def action_reload(self) -> None:
        """Read it again, with what has come since."""
        if self._stepper is not None:
            self._wanted = self._revision
        self.work(self._read(), f"reading {self.agent}", "read")

    async def _read(self) -> None:
        def progress(done: int, total: int) -> None:
            self._done = (done, total)

        source = self.browser.opened.source
        timeline = await Timeline.open(
            source, self._code, self.agent, self.browser.keyframes, progress
        )
        last = timeline.last
        wanted = last if self._wanted is None else min(self._wanted, last)
        stepper = await self._apart(lambda: self._farthest(timeline, wanted))
        self._stepper, self._lookup = stepper, ScanLookup(source)
        self._lines.clear()
        self.query_one("#commits", LineList).show(last + 1, self._commit_line, stepper.revision)
        await self._show(stepper)

    async def _farthest(self, timeline: Timeline, wanted: int) -> Stepper:
        """There; or, where the history can't be folded so far, at the last revision before."""
        try:
            return await Stepper.at(timeline, wanted)
        except (Corrupt, Undecodable) as error:
            fault = str(error)
        low, high = 0, wanted
        while high - low > 1:
            middle = (low + high) // 2
            try:
                await timeline.at(middle)
                low = middle
            except (Corrupt, Undecodable):
                high = middle
        self.say(f"{self.agent} can't be read on behind revision {low}: {fault}")
        return await Stepper.at(timeline, low)

    async def _apart(self, reading: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Read beside the screen: a server is waited for, but a file never waits."""
        async with self._reading:
            try:
                if self.browser.opened.bus is not None:
                    return await reading()
                thread = asyncio.ensure_future(asyncio.to_thread(lambda: asyncio.run(reading())))
                try:
                    return await asyncio.shield(thread)
                except asyncio.CancelledError:  # nobody else may read while it still does
                    await asyncio.wait([thread])
                    raise
            finally:
                self._done = (0, 0)

    def _show_progress(self) -> None:
        done, total = self._done
        if total:
            self.tell(f"reading: {done:,} of {total:,} commits")

    # where it stands

    def to(self, revision: int) -> None:
        """Go to a revision of this history."""
        self.query_one("#commits", LineList).to(revision)

    def on_line_list_cursor_moved(self, event: LineList.CursorMoved) -> None:
        """Another commit is looked at."""
        if event.lines.id == "commits":
            self._look()

    @property
    def _revision(self) -> int:
        """Where the cursor is; what is shown follows it."""
        return self.query_one("#commits", LineList).cursor

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Of a commit its state is shown; in the panel a place is folded, or a commit opened."""
        if event.lines.id == "commits":
            self.query_one("#panel", LineList).focus()
        elif self._seen == "state" and event.index < len(self._state):
            self._toggled ^= {self._state[event.index].path}
            self._look()
        elif event.index < len(self._panel.points):
            point = self._panel.points[event.index]
            if point is not None:
                self.browser.go(*point)

    def action_slide(self, by: int) -> None:
        """A hundredth of the history on."""
        commits = self.query_one("#commits", LineList)
        commits.to(commits.cursor + by * max(1, commits.count // 100))

    def action_other_side(self) -> None:
        """From the commits to the panel, and back."""
        panel = self.query_one("#panel", LineList)
        (self.query_one("#commits", LineList) if panel.has_focus else panel).focus()

    # what is seen of it

    def action_see(self, seen: Seen) -> None:
        """Show another side."""
        self._seen = seen
        self.query_one("#panel", LineList).cursor = 0
        self._look()

    def action_mark(self) -> None:
        """Compare with this revision from now on; once more, with the one before."""
        self._mark = None if self._mark == self._revision else self._revision
        self._look()

    def _look(self) -> None:
        stepper = self._stepper
        if stepper is None:
            return

        async def look() -> None:
            async with self._reading:
                if stepper.revision != self._revision:
                    await stepper.to(self._revision)
            await self._show(stepper)

        self.work(look(), "", "look")

    async def _show(self, stepper: Stepper) -> None:
        async with self._reading:
            commit, changed = await stepper.commit(), await stepper.changed()
            self._show_head(stepper, commit)
            match self._seen:
                case "state":
                    state = plain_state(stepper.here.state)
                    self._state = state_lines(state, changed, self._toggled)
                    panel = self.query_one("#panel", LineList)
                    panel.show(len(self._state), lambda index: styled(self._state[index]))
                    return
                case "changes":
                    made = await change_panel(stepper, self._mark)
                case _ if commit is None:
                    made = Panel(["before the first commit"], [None])
                case "why":
                    made = cause_panel(await why(self._lookup, commit))
                case "effects":
                    made = effect_panel(await effects(self._lookup, commit))
        self._panel = made
        self.query_one("#panel", LineList).show(len(made.lines), lambda n: label(made.lines[n]))

    def _show_head(self, stepper: Stepper, commit: Commit[Any] | None) -> None:
        here, last = stepper.revision, stepper.timeline.last
        time = moment(commit) if commit is not None else ""
        mark = f"  marked {self._mark}" if self._mark is not None else ""
        head = f"{self.agent}@{here} of {last:,}  {time}{mark}"
        self.query_one("#head", Static).update(printable(head))
        width = max(10, self.size.width - 2)
        at = here * (width - 1) // max(1, last)
        self.query_one("#slider", Static).update("─" * at + "●" + "─" * (width - 1 - at))

    def _commit_line(self, revision: int) -> Text:
        """The line, if it was read; else it is read, and seen a moment later."""
        found = self._lines.get(revision)
        if found is None:
            if not self._missing:
                self.call_later(self._read_lines)
            self._missing.add(revision)
            return label(f"{revision:>7}  …")
        return found.copy()

    async def _read_lines(self) -> None:
        stepper, wanted = self._stepper, sorted(self._missing)
        self._missing.clear()
        if stepper is None:
            return
        if len(self._lines) > LINES_KEPT:
            self._lines.clear()
        for revision in wanted:
            async with self._reading:
                self._lines[revision] = await _line_of(stepper.timeline, revision)
        self.query_one("#commits", LineList).refresh()

    # going on until something is

    def action_ask_stop(self) -> None:
        """Ask what to stop at."""

        def answered(text: str) -> None:
            self._stop = text
            self.action_stop(False)

        self.query_one(AskingLine).ask("stop at (a command, an event, or a condition)", answered)

    def action_stop(self, back: bool) -> None:
        """To the next stop, or the one before."""
        stepper = self._stepper
        if stepper is None or not self._stop:
            return
        is_name = self._stop.isidentifier()

        async def search() -> None:
            condition = None if is_name else Condition(self._stop)
            names = (self._stop,) if is_name else ()
            at = await self._apart(lambda: stepper.to_break(names, condition, back=back))
            self._arrive(at, f"{self._stop}: nowhere that way")

        self.work(search(), f"looking for {self._stop}", "read")

    def action_change(self, back: bool) -> None:
        """To the next commit that changes the line in the state, or the one before."""
        stepper, place = self._stepper, self._place()
        if stepper is None:
            return

        async def search() -> None:
            at = await self._apart(lambda: stepper.to_change(place, back=back))
            self._arrive(at, f"{place} does not change that way")

        self.work(search(), f"looking for a change of {place}", "read")

    def _arrive(self, revision: int | None, otherwise: str) -> None:
        if revision is None:
            self.say(otherwise)
        else:
            self.to(revision)

    def _place(self) -> str:
        """The path of the line in the state; the root if another side is seen."""
        cursor = self.query_one("#panel", LineList).cursor
        if self._seen != "state" or cursor >= len(self._state):
            return "$"
        return show_path(self._state[cursor].path)

    def same(self) -> str:
        """`state`, `diff`, `why` or `effects` of this point."""
        line = self.browser.same.line
        revision = self._revision
        point = f"{self.agent}@{revision}"
        match self._seen:
            case "state":
                return line("state", point, code=True)
            case "changes":
                before = self._mark if self._mark is not None else max(0, revision - 1)
                return line("diff", f"{self.agent}@{before}", point, code=True)
            case _:
                return line(self._seen, point)


async def _line_of(timeline: Timeline, revision: int) -> Text:
    if not revision:
        return label(f"{0:>7}  before the first commit")
    try:
        commit = await timeline.commit(revision)
    except MoonletError as error:
        return label(f"{revision:>7}  {error}", "red")
    said = f"{commit.command.name} {value_text(commit.command.body)}"
    if commit.outcome != "accepted":
        said = f"{commit.outcome}: {said}"
    return label(f"{revision:>7}  {said}", COLORS.get(commit.outcome, ""))
