"""What an owner leaves to newer code: commands, and agents of which it can't read an event."""

from collections.abc import Callable
from typing import Final

from moonlet.agents.live import LiveAgent
from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError, Undecodable

LEFT_PAUSE: Final = 0.1
"""Seconds until it is asked again whether newer code is to have what this code can't read."""


class LeftWork:
    """Made by the owner of a partition of `type_`; `later` calls back unless that is closed."""

    def __init__(
        self,
        services: HostServices,
        type_: str,
        later: Callable[[Callable[[], None], float], None],
    ) -> None:
        self._newer = services.newer
        self._type = type_
        self._later = later

    def command(self, what: str) -> bool:
        """Whether a command is left, that this code doesn't know."""
        return self._newer.is_to_have(self._type, what)

    def agent(self, error: MoonletError) -> bool:
        """Whether an agent is left, of which an event can't be read or folded."""
        if not isinstance(error, Undecodable) or not error.type:
            return False
        return self._newer.is_to_have(self._type, str(error), stored=True)

    def wait(self, agent: LiveAgent) -> None:
        """Have an agent ask again: perhaps nobody is newer, and nobody else takes the partition."""
        self._later(agent.looked_up, LEFT_PAUSE)
