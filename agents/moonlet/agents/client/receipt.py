"""What `tell` returns: proof that a command is durable, and the way to its commit."""

from typing import Any, Protocol

from moonlet.agents.client.answers import error_of
from moonlet.agents.client.asking import await_outcome
from moonlet.agents.client.sending import Timeout, end_of
from moonlet.agents.client.timeouts import in_time
from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Corrupt, Unknown
from moonlet.core.ids import AgentId
from moonlet.streams import Bus, Journal, Registry, decode_plain_commit


class Connected(Protocol):
    """The client that sent the command, as far as its receipt needs it."""

    bus: Bus
    registry: Registry

    def see(self, stream: str, sequence: int) -> None:
        """Take note of a commit: later queries see at least that."""
        ...


class Receipt:
    """A stored command: `id` names it for ever."""

    def __init__(self, moon: Connected, agent: AgentId, envelope: Envelope, after: int) -> None:
        self._moon = moon
        self._after = after
        self._agent = agent
        self._envelope = envelope
        self.id = envelope.id

    def __repr__(self) -> str:
        return f"Receipt(id={self.id!r}, agent={str(self._agent)!r})"

    async def committed(self, timeout: Timeout = 5.0) -> Commit[Any]:
        """The command's commit, whatever its outcome; may be asked for any number of times.

        Raises `Unknown(stored='yes')` when time is up, `Conflict` if the id was another command's.
        """
        moon = self._moon
        bus = moon.bus
        until = end_of(timeout)
        home = await in_time(moon.registry.home(self._agent.type), until, self._late)
        answer = await await_outcome(
            bus, self._agent, self._envelope, home, None, after=self._after, until=until
        )
        if not answer.sequence:
            raise error_of(answer)
        moon.see(answer.stream, answer.sequence)
        reading = Journal(bus, answer.stream).message(answer.sequence)
        stored = await in_time(reading, until, self._late)
        if stored is None:
            raise Corrupt(
                f"{answer.stream} has no message {answer.sequence}, though its commit was answered",
                stream=answer.stream,
                sequence=answer.sequence,
            )
        return decode_plain_commit(answer.stream, stored)

    def _late(self) -> Unknown:
        return Unknown(
            f"{self._envelope.name} is stored for {self._agent}, but {self._moon.bus.description}"
            " did not say in time what came of it: ask again",
            stored="yes",
            command_id=self.id,
        )
