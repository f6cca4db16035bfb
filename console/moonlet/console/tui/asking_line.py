"""The line at the bottom: what is asked for, and the command that does the same."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

Answered = Callable[[str], None]


class AskingLine(Horizontal):
    """Hidden until something is asked; Enter answers, Escape leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def compose(self) -> ComposeResult:
        """The question, and where it is answered."""
        yield Static(id="question", markup=False)
        yield Input(id="answer", compact=True)

    def on_mount(self) -> None:
        """Nothing is asked yet."""
        self.display = False

    def ask(self, question: str, answered: Answered) -> None:
        """Ask, and call `answered` with the text unless it is left."""
        self._answered = answered
        self.query_one("#question", Static).update(f"{question}: ")
        self.display = True
        line = self.query_one("#answer", Input)
        line.value = ""
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The answer is there."""
        event.stop()
        self.action_leave()
        if event.value.strip():
            self._answered(event.value.strip())

    def action_leave(self) -> None:
        """Hide again; what had the keyboard before has it again."""
        self.display = False
        self.screen.focus_next()
