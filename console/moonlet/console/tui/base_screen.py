"""What all screens have: help, the command that does the same, work that may fail."""

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, Protocol, cast

from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import Worker

from moonlet.console.common import Options, SameCommand
from moonlet.console.replay import Reading
from moonlet.console.tui.apart import Apart
from moonlet.console.tui.asking_line import AskingLine
from moonlet.console.tui.printable import printable
from moonlet.core.errors import Invalid, MoonletError
from moonlet.core.ids import AgentId
from moonlet.replay import Point
from moonlet.replay.index import Index

HELP: Final = """anywhere   ? these keys · : the command that does the same · g to any point · f find words · esc back · q quit
lists      ↑ ↓ j k one on or back · PgUp PgDn Home End · Enter open, or fold · Tab the other side
a history  s state · d what changed (since the mark, with m) · c the commit, whole · w why · e what followed
           ← → slide along · Enter on a value shows it whole
           / stop at a command, an event or a condition · n N the next stop, the one before
           x X the next change of the line in the state, the one before · r read again"""  # noqa: E501


class Browsing(Protocol):
    """The app, as far as screens know it."""

    opened: Reading
    options: Options
    apart: Apart
    same: SameCommand
    index: Index | None

    def go(self, agent: AgentId, revision: int | None) -> None:
        """Open a history at a revision, or at its end."""
        ...

    def find(self, words: str) -> None:
        """Look for words in all commits."""
        ...


async def point_there(opened: Reading, text: str) -> Point:
    """The point of a text, in a history that there is; raises `Invalid`."""
    point = await opened.point(text)
    if not point.revision and await opened.source.last(point.agent) is None:
        raise Invalid(f"{point.agent} has no commits; all agents that have are listed at first")
    return point


class BaseScreen(Screen[None]):
    """A screen of a `Browser`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "keys", key_display="?"),
        Binding("colon", "same", "command"),
        Binding("g", "ask_point", "go to"),
        Binding("f", "ask_words", "find"),
        Binding("escape", "leave", "back", show=False),
        Binding("q", "app.quit", "quit"),
    ]

    @property
    def browser(self) -> Browsing:
        """The app, as what it is."""
        return cast("Browsing", self.app)

    @abstractmethod
    def same(self) -> str:
        """The command that does what is shown."""

    def work(
        self,
        doing: Callable[[], Coroutine[Any, Any, None]],
        what: str,
        group: str = "",
        *,
        alone: bool = True,
    ) -> Worker[None]:
        """Run it beside the screen, the last of its group `alone`. What fails is said, no more."""

        async def guarded() -> None:
            if what:
                self.tell(f"{what} …")
            try:
                await doing()
            except MoonletError as error:
                self.say(str(error))
            except NoMatches:
                if self.query("#head"):
                    raise
                return  # the screen was left meanwhile
            if what:
                self.tell("")

        return self.run_worker(guarded, group=group, exclusive=alone)

    def say(self, text: str) -> None:
        """An error or a remark, for some seconds."""
        self.notify(printable(text, 2_000), markup=False, severity="warning", timeout=8)

    def tell(self, text: str) -> None:
        """What is going on, in the line above the keys."""
        self.query_one("#same", Static).update(printable(text, 1_000))

    def action_same(self) -> None:
        """Show the command that does the same."""
        self.tell(self.same())

    def action_help(self) -> None:
        """Show the keys."""
        self.notify(HELP, markup=False, timeout=20, title="keys")

    def action_ask_point(self) -> None:
        """Ask where to go."""
        self.query_one(AskingLine).ask(
            "go to (AGENT, AGENT@REVISION, AGENT@TIME, a command's id)", self._go
        )

    def _go(self, text: str) -> None:
        async def to() -> None:
            point = await point_there(self.browser.opened, text)
            self.browser.go(point.agent, point.revision)

        self.work(to, f"looking for {text}")

    def action_ask_words(self) -> None:
        """Ask for words to find in all commits."""
        self.query_one(AskingLine).ask('find (words, or "a phrase")', self.browser.find)

    def action_leave(self) -> None:
        """Back to the screen before; the first one stays."""
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
