"""Text from outside as a terminal may show it: without control characters, on one line."""

from typing import Any, Final

from rich.text import Text

from moonlet.console.common import compact

TEXT_MAX: Final = 500
"""Characters of one value in one line."""


def printable(text: str, most: int = TEXT_MAX) -> str:
    """The text on one line; what a terminal would obey is shown as Python writes it."""
    cut = text[:most]
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in cut)
    return shown if len(text) <= most else f"{shown}… ({len(text):,} characters)"


def value_text(value: Any) -> str:
    """Plain data in one line."""
    return printable(compact(value) if not isinstance(value, str) else repr(value))


def label(text: str, style: str = "") -> Text:
    """A line that is no markup."""
    return Text(printable(text), style=style, no_wrap=True, end="")
