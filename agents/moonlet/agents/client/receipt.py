"""What `tell` returns: proof that a command is durable, and the way to its commit."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from moonlet.agents.client.answers import error_of
from moonlet.agents.client.asking import await_outcome, has_name
from moonlet.agents.client.sending import Timeout, end_of
from moonlet.agents.client.timeouts import in_time
from moonlet.agents.histories import read_commits
from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Corrupt, Unavailable, Unknown
from moonlet.core.fold import body_digest, plain_body
from moonlet.core.ids import AgentId
from moonlet.streams import (
    Bus,
    Journal,
    Registry,
    StoredMessage,
    decode_plain_commit,
    same_command,
    stream_facts,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

T = TypeVar("T")


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
        """The command's own commit, whatever its outcome; may be asked for any number of times.

        What is answered is believed only if that commit stands in the journal where it says.

        Raises `Unknown(stored='yes')` when time is up, `Conflict` if the id was another command's.
        """
        moon, until = self._moon, end_of(timeout)
        home = await self._patiently(lambda: moon.registry.home(self._agent.type), until)
        answer = await await_outcome(
            moon.bus, self._agent, self._envelope, home, None, after=self._after, until=until
        )
        if not answer.sequence:
            raise error_of(answer)
        journal = moon.bus.topology.journal_of(self._agent.type)
        stored = await self._patiently(lambda: self._stored(journal, answer.sequence), until)
        commit = decode_plain_commit(journal, stored)
        if not self._is_ours(commit):
            log.warning("another's outcome was answered", id=self.id, agent=str(self._agent))
            commit = await self._patiently(self._search, until)
        moon.see(journal, commit.sequence)
        return commit

    def _is_ours(self, commit: Commit[Any]) -> bool:
        sent = self._envelope
        return has_name(commit, sent) and same_command(
            commit, body_digest(sent.name, plain_body(sent.body))
        )

    async def _search(self) -> Commit[Any]:
        """Our commit, as the journal has it, or will."""
        commits = read_commits(self._moon.bus, self._agent, 1, None, True)
        async with aclosing(commits) as read:
            async for commit in read:
                if self._is_ours(commit):
                    return commit
        raise Unavailable("the history ended")

    async def _patiently(self, ask: Callable[[], Awaitable[T]], until: float) -> T:
        """What `ask` gives once the server answers; raises `Unknown` at the loop's time `until`."""

        async def keep_asking() -> T:
            attempt = 0
            while True:
                try:
                    return await ask()
                except Unavailable:
                    attempt += 1
                await self._moon.bus.backoff(attempt)

        return await in_time(keep_asking(), until, self._late)

    async def _stored(self, stream: str, sequence: int) -> StoredMessage:
        bus = self._moon.bus
        stored = await Journal(bus, stream).message(sequence)
        if stored is not None:
            return stored
        facts = await stream_facts(bus, stream)
        if facts is None or facts.last < sequence:
            raise Unavailable(f"the server that answers for {stream} is not up to date")
        raise Corrupt(
            f"{stream} has no message {sequence}, though its commit was answered",
            stream=stream,
            sequence=sequence,
        )

    def _late(self) -> Unknown:
        return Unknown(
            f"{self._envelope.name} is stored for {self._agent}, but {self._moon.bus.description}"
            " did not say in time what came of it: ask again",
            stored="yes",
            command_id=self.id,
        )
