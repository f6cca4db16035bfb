"""What a request asks for, read from its query; whatever is wrong is said by its name."""

from collections.abc import Mapping
from typing import Final

from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId

TEXT_MAX: Final = 2_000
"""Characters of one parameter."""

_DIGITS: Final = 15


class Parameters:
    """The parameters of one request."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def text(self, name: str, default: str | None = None) -> str:
        """A text; raises `Invalid` if it is missing and has no default, or is too long."""
        found = self._given.get(name, default)
        if found is None:
            raise Invalid(f"{name} is missing")
        if len(found) > TEXT_MAX:
            raise Invalid(f"{name} has more than {TEXT_MAX:,} characters")
        return found

    def number(self, name: str, default: int | None, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both inclusive; raises `Invalid`."""
        text = self._given.get(name)
        if text is None and default is not None:
            return default
        if text is None or not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
            raise Invalid(f"{name} must be a whole number from {low} to {high}")
        if not low <= int(text) <= high:
            raise Invalid(f"{name} must be {low} to {high}, not {int(text)}")
        return int(text)

    def agent(self) -> AgentId:
        """The agent that is asked about; raises `InvalidId`."""
        return AgentId.parse(self.text("agent"))

    def flag(self, name: str) -> bool:
        """Whether it is 1."""
        return self._given.get(name) == "1"
