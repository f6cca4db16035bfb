"""Where agents are, and where their journals end: what a session asks before its first command."""

import asyncio
from typing import Final

from moonlet.agents.client.timeouts import in_time
from moonlet.core.errors import Invalid, MoonletError, Unavailable
from moonlet.core.ids import AgentId
from moonlet.streams import Bus, Home, Registry, stream_facts

END_SECONDS: Final = 0.5
"""Seconds that a stream has to say where it ends."""


class Homes:
    """What one session knows of types and journals. `ends` are as of the first question."""

    def __init__(self, bus: Bus, registry: Registry) -> None:
        self.ends: dict[str, int] = {}
        self._bus = bus
        self._registry = registry
        self._loop = asyncio.get_running_loop()

    def check_loop(self) -> None:
        """Raises `Invalid` where the session is another loop's."""
        if asyncio.get_running_loop() is not self._loop:
            raise Invalid(
                "the client belongs to the event loop in which it was opened: from another thread"
                " use asyncio.run_coroutine_threadsafe(call, loop), or open a client of its own"
            )

    async def home(self, agent: AgentId, until: float) -> Home:
        """Where the type's agents are: asked for until the loop's time `until`.

        Raises `UnknownAgentType`, and `Unavailable` when time is up: nothing was sent.
        """
        self.check_loop()
        known = self._registry.known(agent.type)
        if known is not None:
            return known
        last: list[Unavailable] = []

        async def ask() -> Home:
            attempt = 0
            while True:
                attempt += 1
                try:
                    return await self._registry.home(agent.type)
                except Unavailable as error:
                    last[:] = [error]
                await self._bus.backoff(attempt)

        def late() -> Unavailable:
            why = f": {last[0]}" if last else ""
            return Unavailable(
                f"{self._bus.description} did not say in time where agents of type {agent.type}"
                f" are; nothing was sent, try again{why}"
            )

        return await in_time(ask(), until, late)

    async def learn_end(self, journal: str, until: float) -> None:
        """Where the journal ends now: no command that is sent from now on is committed before.

        So what became of one can be looked up without reading all that was ever done. An end
        that isn't known is 0, and costs no more than that.
        """
        if journal in self.ends:
            return
        limit = min(until, self._loop.time() + END_SECONDS)
        try:
            facts = await in_time(stream_facts(self._bus, journal), limit, _late)
        except MoonletError:
            return
        self.ends[journal] = facts.last if facts is not None else 0

    async def why_silent(self, until: float, before: str) -> str:
        """Why a command got no answer: the server hangs, or only stores nothing.

        What was said `before` if there is no time left to ask.
        """
        now = self._loop.time()
        if before and until - now < END_SECONDS:
            return before
        stream = self._bus.topology.stream("mailboxes")
        try:
            await in_time(stream_facts(self._bus, stream), min(until, now + END_SECONDS), _late)
        except MoonletError:
            return "it may hang, look at it"
        return (
            f"it is there, but its stream {stream} stores nothing: its disk may be full; see the"
            " server's log, make room, and restart the server if it goes on"
        )


def _late() -> MoonletError:
    return Unavailable("no answer in time")
