"""Commits that were found by words, the newest first."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static

from moonlet.console.replay import indexed
from moonlet.console.tui.asking_line import AskingLine
from moonlet.console.tui.base_screen import BaseScreen
from moonlet.console.tui.line_list import LineList
from moonlet.console.tui.printable import label, printable
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.replay.index import Hit, Index, follow, open_database

HITS_MAX = 1_000


class SearchScreen(BaseScreen):
    """The index is made, or brought up to date, when words are asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open", "open")]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self._hits: list[Hit] = []

    def compose(self) -> ComposeResult:
        """Head, hits, the line that asks, keys."""
        yield Static(f"looking for {printable(self._words)}", id="head", markup=False)
        yield LineList("hits")
        yield AskingLine()
        yield Static(id="same", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Look for them."""
        self.query_one(LineList).focus()
        self.set_interval(0.1, self._show_progress)
        self.work(self._find, "indexing")

    async def _find(self) -> None:
        browser = self.browser
        if browser.opened.bus is None:
            self._hits = await browser.apart.run(self._of_file)
        else:
            async with indexed(browser.options, browser.opened, None) as (found, _):
                self._hits = found.search(self._words, HITS_MAX)
        more = " and more" if len(self._hits) == HITS_MAX else ""
        told = f"{len(self._hits):,}{more} commits with {printable(self._words)}"
        self.query_one("#head", Static).update(told)
        self.query_one(LineList).show(len(self._hits), self._line)

    async def _of_file(self) -> list[Hit]:
        """By an index in memory, which is made once; in the thread that reads."""
        browser = self.browser
        if browser.index is None:
            database = open_database(None)
            browser.apart.at_end.append(database.close)
            await follow(
                database, browser.opened.source, bodies=True, progress=browser.apart.progress
            )
            browser.index = Index(database)
        return browser.index.search(self._words, HITS_MAX)

    def _show_progress(self) -> None:
        done, total = self.browser.apart.done
        if total:
            self.tell(f"indexing: {done:,} of {total:,} commits")

    def _line(self, index: int) -> Text:
        hit = self._hits[index]
        time = Timestamp(hit.micros).datetime.isoformat(sep=" ", timespec="milliseconds")
        reason = f" ({hit.reason})" if hit.reason else ""
        return label(
            f"{time.removesuffix('+00:00')}  {hit.agent}@{hit.revision}  {hit.name}"
            f"  {hit.outcome}{reason}"
        )

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the history there."""
        hit = self._hits[event.index]
        self.browser.go(AgentId.parse(hit.agent), hit.revision)

    def action_open(self) -> None:
        """For the footer's sake."""
        self.query_one(LineList).action_choose()

    def same(self) -> str:
        """`moonlet search`."""
        return self.browser.same.line("search", self._words)
