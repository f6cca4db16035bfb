"""A list of any length of which only what is seen is made; the one widget that screens are of."""

from collections.abc import Callable
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

LineOf = Callable[[int], Text]

CURSOR = Style(reverse=True)


class LineList(ScrollView, can_focus=True):
    """`count` lines, made by `line_of` when they are seen, and a cursor on one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "next", show=False),
        Binding("up,k", "move(-1)", "back", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "to(0)", show=False),
        Binding("end", "to(-1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class CursorMoved(Message):
        """The cursor stands on another line now."""

        def __init__(self, lines: "LineList", index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

    class Chosen(Message):
        """Enter was pressed on a line."""

        def __init__(self, lines: "LineList", index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.count = 0
        self.cursor = 0
        self._line_of: LineOf = lambda index: Text("")

    def show(self, count: int, line_of: LineOf, cursor: int | None = None) -> None:
        """Show other lines; the cursor stays where it is unless `cursor` says otherwise."""
        self.count = count
        self._line_of = line_of
        self.virtual_size = Size(self.virtual_size.width, count)
        wanted = self.cursor if cursor is None else cursor
        self.cursor = max(0, min(wanted, count - 1))
        self._show_cursor()
        self.refresh()

    def to(self, index: int) -> None:
        """Put the cursor on a line, if there is one, and say so."""
        index = max(0, min(index, self.count - 1))
        if index != self.cursor and self.count:
            self.cursor = index
            self._show_cursor()
            self.refresh()
            self.post_message(self.CursorMoved(self, index))

    def action_move(self, by: int) -> None:
        """So many lines on."""
        self.to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """So many screens on."""
        self.to(self.cursor + by * max(1, self.size.height - 1))

    def action_to(self, index: int) -> None:
        """To a line, from the end if negative."""
        self.to(index if index >= 0 else self.count + index)

    def action_choose(self) -> None:
        """Say that this is it."""
        if self.count:
            self.post_message(self.Chosen(self, self.cursor))

    def render_line(self, y: int) -> Strip:
        """One line of what is seen."""
        index = y + self.scroll_offset.y
        width = self.size.width
        if index >= self.count:
            return Strip.blank(width, self.rich_style)
        text = self._line_of(index)
        text.stylize_before(self.rich_style)
        strip = Strip(text.render(self.app.console)).crop_extend(0, width, self.rich_style)
        return strip.apply_style(CURSOR) if index == self.cursor else strip

    def _show_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
