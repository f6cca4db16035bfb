"""Timers that a recovered agent has open: each is set again whose schedule does not stand."""

from typing import Any

from moonlet.agents.effects import caused_envelope
from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError, Unavailable
from moonlet.core.fold import Fold, Where
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.streams import decode_commit
from moonlet.telemetry import get_logger

log = get_logger(__name__)


async def assert_timers(
    services: HostServices, agent: AgentId, fold: Fold[Any], *, anyway: bool = False
) -> None:
    """Set the fold's open timers again where no schedule stands; firing twice is harmless.

    `anyway`: whatever stands, since it may be somebody else's.

    Tries until the server answers; cancelled, the next recovery does it.
    """
    for name, where in list(fold.timers.items()):
        attempt = 0
        while True:
            attempt += 1
            try:
                await _assert(services, agent, name, where, anyway=anyway)
                break
            except MoonletError as error:
                log.info("a timer waits for the server", agent=str(agent), error=str(error))
            await services.bus.backoff(attempt)


async def _assert(
    services: HostServices, agent: AgentId, name: str, where: Where, *, anyway: bool
) -> None:
    if not anyway:
        if await services.timers.stands(agent, name, where.revision):
            return
        reached("a timer that no schedule stands for is set again")
    stream = services.bus.topology.journal_of(agent.type)
    stored = await services.journal(stream).message(where.sequence)
    if stored is None:
        raise Unavailable(f"the server that answers for {stream} is not up to date")
    commit, encoding = decode_commit(stream, stored)
    envelope = caused_envelope(commit, where.index, agent=str(agent), lane="high", timer=name)
    due = commit.effects[where.index].due
    home = await services.registry.home(agent.type)
    await services.timers.set(agent, envelope, due, home, encoding)
