"""The bar of long work: how much is done of how much, how fast, how long still."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Rate(ProgressColumn):
    """Units done a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Nothing until it is known."""
        return Text(f"{task.speed:,.0f} {self._unit}/s" if task.speed else "")


class ProgressBar:
    """A bar on stderr, until it is closed."""

    def __init__(self, label: str, unit: str) -> None:
        columns = (
            TextColumn(label, markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(unit),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(label, total=None)
        self._bar.start()

    def advance(self, done: int, total: int) -> None:
        """Show it."""
        self._bar.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take it away."""
        self._bar.stop()
