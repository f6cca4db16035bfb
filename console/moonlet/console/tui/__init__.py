"""`moonlet tui`: histories on a terminal's whole screen, by keyboard. It knows how things look."""

from moonlet.console.tui.start import tui

__all__ = ["tui"]
