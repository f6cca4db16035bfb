"""The app: what is read, and the way from screen to screen."""

from pathlib import Path
from typing import Any, ClassVar

import msgspec
from textual.app import App
from textual.binding import BindingType

from moonlet.agents import AgentType
from moonlet.console.common import Found, Options, Output, SameCommand
from moonlet.console.replay import Reading, code_of
from moonlet.console.tui.agents_screen import AgentsScreen
from moonlet.console.tui.apart import Apart
from moonlet.console.tui.history_screen import HistoryScreen
from moonlet.console.tui.panel_reader import PanelReader
from moonlet.console.tui.search_screen import SearchScreen
from moonlet.core.errors import UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.replay import Keyframes, MemoryKeyframes, Point
from moonlet.replay.index import Index

STYLE = """
Screen { layout: vertical; }
#head { height: 1; background: $primary; color: $text; }
#same { height: auto; max-height: 6; min-height: 1; color: $text-muted; }
#slider { height: 1; }
AskingLine { height: 1; }
#question { width: auto; }
#answer { width: 1fr; }
#both { height: 1fr; }
LineList { height: 1fr; scrollbar-size: 1 0; overflow-x: hidden; overflow-y: scroll; }
#commits { width: 2fr; }
#panel { width: 3fr; border-left: solid $primary; }
"""


class Browser(App[None]):
    """Reads through `opened`, which whoever runs it closes. Writes nothing anywhere."""

    CSS = STYLE
    TITLE = "moonlet"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        options: Options,
        opened: Reading,
        types: Found,
        start: Point | None,
        *,
        keyframes: Keyframes | None,
        modules: list[str],
        bundle: Path | None,
    ) -> None:
        super().__init__()
        # A bar of progress would be drawn over the screens.
        self.options = msgspec.structs.replace(options, output=Output(json=True))
        self.opened = opened
        self.apart = Apart(in_thread=opened.bus is None)
        self._keyframes = keyframes if keyframes is not None else MemoryKeyframes()
        self.same = SameCommand(options, modules, bundle)
        self.index: Index | None = None
        self._types = types
        self._start = start

    def on_mount(self) -> None:
        """All agents, and over them where it was told to begin."""
        self.push_screen(AgentsScreen())
        if self._start is not None:
            self.go(self._start.agent, self._start.revision)

    def go(self, agent: AgentId, revision: int | None) -> None:
        """Open a history at a revision, or at its end."""
        here = self.screen
        if isinstance(here, HistoryScreen) and here.agent == agent and revision is not None:
            here.to(revision)
            return
        code: AgentType[Any] | UnknownAgentType
        try:
            code = code_of(self._types, agent)
        except UnknownAgentType as error:
            code = error
        reader = PanelReader(self.opened, self.apart, self._keyframes, agent, code)
        self.push_screen(HistoryScreen(reader, revision))

    def on_unmount(self) -> None:
        """Whatever is still read is no more wanted."""
        self.apart.close()

    def find(self, words: str) -> None:
        """Look for words in all commits."""
        self.push_screen(SearchScreen(words))
