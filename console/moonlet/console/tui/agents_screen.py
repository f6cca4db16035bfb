"""All agents that have commits; one is chosen, or a few letters choose which are seen."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static

from moonlet.console.tui.asking_line import AskingLine
from moonlet.console.tui.base_screen import BaseScreen
from moonlet.console.tui.line_list import LineList
from moonlet.console.tui.printable import printable
from moonlet.core.ids import AgentId


class AgentsScreen(BaseScreen):
    """The agents, sorted, and how many commits each has."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open"),
        Binding("slash", "filter", "filter"),
        Binding("r", "reload", "read again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._all: list[tuple[AgentId, int]] = []
        self._seen: list[tuple[AgentId, int]] = []
        self._letters = ""

    def compose(self) -> ComposeResult:
        """Head, list, the line that asks, keys."""
        yield Static(id="head", markup=False)
        yield LineList("agents")
        yield AskingLine()
        yield Static(id="same", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Read who is there."""
        self.query_one(LineList).focus()
        self.action_reload()

    def action_reload(self) -> None:
        """Ask for the agents again."""
        self.work(self._read, "reading the agents")

    async def _read(self) -> None:
        self._all = list((await self.browser.opened.source.agents()).items())
        self._show()

    def _show(self) -> None:
        self._seen = [each for each in self._all if self._letters in str(each[0])]
        of = "" if len(self._seen) == len(self._all) else f"{len(self._seen):,} of "
        where = printable(self.browser.opened.source.description)
        told = f", with {printable(self._letters)!r}" if self._letters else ""
        self.query_one("#head", Static).update(f"{of}{len(self._all):,} agents of {where}{told}")
        self.query_one(LineList).show(len(self._seen), self._line)

    def _line(self, index: int) -> Text:
        agent, count = self._seen[index]
        return Text(f"{count:>9,}  {printable(str(agent))}", no_wrap=True, end="")

    def action_filter(self) -> None:
        """Ask for the letters; nothing typed shows all again."""

        def answered(letters: str) -> None:
            self._letters = "" if letters == "*" else letters
            self._show()

        self.query_one(AskingLine).ask("agents with (* for all)", answered)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the agent's history at its end."""
        self.browser.go(self._seen[event.index][0], None)

    def action_open(self) -> None:
        """For the footer's sake; the list takes the key itself."""
        self.query_one(LineList).action_choose()

    def same(self) -> str:
        """`moonlet agents`; a bundle tells its agents when it is opened."""
        if self.browser.opened.bus is None:
            return self.browser.same.line("bundle", "open", self.browser.opened.source.description)
        return self.browser.same.line("agents")
