"""One agent's history: its commits, a slider, and beside it state, change, commit or causes."""

import time
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer, Static
from textual.worker import Worker

from moonlet.console.replay import moment
from moonlet.console.tui.asking_line import AskingLine
from moonlet.console.tui.base_screen import BaseScreen
from moonlet.console.tui.line_list import LineList
from moonlet.console.tui.panel_reader import PanelReader, PanelWish, Seen
from moonlet.console.tui.panels import Panel
from moonlet.console.tui.printable import label, printable, value_text
from moonlet.console.tui.state_lines import styled
from moonlet.core.commit import Commit
from moonlet.core.errors import MoonletError, Unavailable
from moonlet.core.ids import AgentId
from moonlet.replay.changes import Path
from moonlet.replay.changes import show as show_path

LINES_KEPT: Final = 10_000
"""Lines of commits that are kept, once they were seen."""

PATIENCE: Final = 0.3
"""Seconds after which it is said that a panel is still being read."""

COLORS: Final = {"accepted": "", "rejected": "yellow", "expired": "yellow", "parked": "red"}


class HistoryScreen(BaseScreen):
    """Line n of the commits is revision n, and line 0 what was before the first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "see('state')", "state"),
        Binding("d", "see('changes')", "changes"),
        Binding("c", "see('commit')", "commit"),
        Binding("w", "see('why')", "why"),
        Binding("e", "see('effects')", "effects"),
        Binding("m", "mark", "mark"),
        Binding("slash", "ask_stop", "stop at"),
        Binding("n", "stop(False)", show=False),
        Binding("N", "stop(True)", show=False),
        Binding("x", "change(False)", show=False),
        Binding("X", "change(True)", show=False),
        Binding("left", "slide(-1)", show=False),
        Binding("right", "slide(1)", show=False),
        Binding("tab", "other_side", show=False),
        Binding("r", "reload", show=False),
    ]

    def __init__(self, reader: PanelReader, revision: int | None) -> None:
        super().__init__()
        self._reader = reader
        self._wanted = revision
        self._is_open = False
        self._lines: dict[int, Text] = {}
        self._missing: set[int] = set()
        self._seen: Seen = "state"
        self._mark: int | None = None
        self._stop = ""
        self._toggled: set[Path] = set()
        self._path: Path = ()
        self._panel = Panel([])
        self._looking = 0.0  # since when; 0: it is shown
        self._search: Worker[None] | None = None

    @property
    def agent(self) -> AgentId:
        """Whose history it is."""
        return self._reader.agent

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
        if self._is_open:
            self._wanted = self._revision
        self.work(self._open, f"reading {self.agent}", "read")

    async def _open(self) -> None:
        await self._reader.open()
        last = self._reader.last
        self._is_open = True
        self._lines.clear()
        wanted = last if self._wanted is None else min(self._wanted, last)
        self.query_one("#commits", LineList).show(last + 1, self._commit_line, wanted)
        self._look()

    def _show_progress(self) -> None:
        done, total = self.browser.apart.done
        told = f"reading: {done:,} of {total:,} commits" if total else "reading …"
        searches = self._search is not None and self._search.is_running
        if searches and total:
            self.tell(f"{told}; esc stops it")
        elif self._looking and time.monotonic() - self._looking > PATIENCE:
            self._show_panel(Panel([told]))

    # where it stands

    def to(self, revision: int) -> None:
        """Go to a revision of this history; one that has come since is read first."""
        if self._is_open and revision > self._reader.last:
            self._is_open = False
            self._wanted = revision
            self.action_reload()
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
        """Of a commit its panel gets the keys; there a place is folded, or shown whole, or a
        commit opened.
        """
        index = event.index
        if event.lines.id == "commits":
            self.query_one("#panel", LineList).focus()
        elif index < len(self._panel.places):
            place = self._panel.places[index]
            if place.toggle:
                self._toggled ^= {place.path}
                self._look()
            else:
                self._path = place.path
                self.action_see("value")
        elif index < len(self._panel.points) and (point := self._panel.points[index]) is not None:
            self.browser.go(*point)

    def action_slide(self, by: int) -> None:
        """A hundredth of the history on."""
        commits = self.query_one("#commits", LineList)
        commits.to(commits.cursor + by * max(1, commits.count // 100))

    def action_other_side(self) -> None:
        """From the commits to the panel, and back; what is asked for is left."""
        panel = self.query_one("#panel", LineList)
        asking = self.query_one(AskingLine)
        if asking.display:
            asking.action_leave()
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

    def on_resize(self) -> None:
        """Lines are as long as there is room."""
        self._look()

    def _look(self) -> None:
        if not self._is_open:
            return
        width = max(10, self.query_one("#panel", LineList).size.width)
        wish = PanelWish(
            self._seen, self._revision, self._mark, width, frozenset(self._toggled), self._path
        )
        self._looking = time.monotonic()
        self.work(lambda: self._looked(wish), "", "look")

    async def _looked(self, wish: PanelWish) -> None:
        try:
            commit, fault = None, ""
            try:
                commit = await self._reader.commit(wish.revision)
            except Unavailable:
                raise
            except MoonletError as error:
                fault = str(error)
            self._show_head(wish.revision, commit, fault)
            made = await self._reader.panel(wish)
        except MoonletError:
            self._looking = 0.0
            raise
        self._looking = 0.0
        self._panel = made
        self._show_panel(made)

    def _show_panel(self, panel: Panel) -> None:
        places = panel.places

        def line_of(index: int) -> Text:
            return styled(places[index]) if places else label(panel.lines[index])

        self.query_one("#panel", LineList).show(len(panel.lines), line_of)

    def _show_head(self, here: int, commit: Commit[Any] | None, fault: str) -> None:
        last = self._reader.last
        told = moment(commit) if commit is not None else fault and "can't be read"
        mark = f"  marked {self._mark}" if self._mark is not None else ""
        head = f"{self.agent}@{here} of {last:,}  {told}{mark}"
        self.query_one("#head", Static).update(printable(head))
        width = max(10, self.size.width - 2)
        at = here * (width - 1) // max(1, last)
        self.query_one("#slider", Static).update("─" * at + "●" + "─" * (width - 1 - at))

    def _commit_line(self, revision: int) -> Text:
        """The line, if it was read; else it is read, and seen a moment later."""
        found = self._lines.get(revision)
        if found is None:
            if not self._missing:
                self.call_later(lambda: self.work(self._read_lines, "", "lines", alone=False))
            self._missing.add(revision)
            return label(f"{revision:>7}  …")
        return found.copy()

    async def _read_lines(self) -> None:
        wanted = sorted(self._missing)
        self._missing.clear()
        if len(self._lines) > LINES_KEPT:
            self._lines.clear()
        for revision in wanted:
            self._lines[revision] = await self._line_of(revision)
        self.query_one("#commits", LineList).refresh()

    async def _line_of(self, revision: int) -> Text:
        try:
            commit = await self._reader.commit(revision)
        except Unavailable:
            raise
        except MoonletError as error:
            return label(f"{revision:>7}  can't be read: {error}", "red")
        if commit is None:
            return label(f"{revision:>7}  before the first commit")
        said = f"{commit.command.name} {value_text(commit.command.body)}"
        if commit.outcome != "accepted":
            said = f"{commit.outcome}: {said}"
        return label(f"{revision:>7}  {said}", COLORS.get(commit.outcome, ""))

    # going on until something is

    def action_ask_stop(self) -> None:
        """Ask what to stop at."""

        def answered(text: str) -> None:
            self._stop = text
            self.action_stop(False)

        self.query_one(AskingLine).ask("stop at (a command, an event, or a condition)", answered)

    def action_stop(self, back: bool) -> None:
        """To the next stop, or the one before."""
        if not self._is_open or not self._stop:
            self.say("say first at what to stop, by /")
            return
        here, wanted = self._revision, self._stop
        self._go_on(
            lambda: self._reader.stop(here, wanted, back=back),
            f"looking for {wanted}",
            f"{wanted}: nowhere that way",
        )

    def action_change(self, back: bool) -> None:
        """To the next commit that changes the line in the state, or the one before."""
        if not self._is_open:
            return
        here, place = self._revision, show_path(self._place())
        self._go_on(
            lambda: self._reader.change(here, place, back=back),
            f"looking for a change of {place}",
            f"{place} does not change that way",
        )

    def _go_on(
        self,
        finding: Callable[[], Coroutine[Any, Any, int | None]],
        what: str,
        otherwise: str,
    ) -> None:
        async def search() -> None:
            revision = await finding()
            if revision is None:
                self.say(otherwise)
            else:
                self.to(revision)

        self._search = self.work(search, what, "read")

    def action_leave(self) -> None:
        """Stop what is looked for; else back to the screen before."""
        search = self._search
        if search is not None and search.is_running:
            search.cancel()
            self.tell("stopped")
            return
        super().action_leave()

    def _place(self) -> Path:
        """The path of the line in the state; the root if another side is seen."""
        cursor = self.query_one("#panel", LineList).cursor
        if self._seen == "value":
            return self._path
        places = self._panel.places
        return places[cursor].path if cursor < len(places) else ()

    def same(self) -> str:
        """`state`, `diff`, `history`, `why` or `effects` of this point."""
        line = self.browser.same.line
        revision = self._revision
        point = f"{self.agent}@{revision}"
        match self._seen:
            case "state" | "value":
                return line("state", point, code=True)
            case "changes":
                before = self._mark if self._mark is not None else max(0, revision - 1)
                return line("diff", f"{self.agent}@{before}", point, code=True)
            case "commit":
                only = ("--from", str(max(1, revision)), "--to", str(max(1, revision)))
                return line("history", str(self.agent), *only)
            case _:
                return line(self._seen, point)
