"""When an agent's snapshot is worth its writing: by what reading the tail behind it would cost.

What left an agent's memory is stored before: a snapshot that hid it would make it forgotten.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

from moonlet.agents.definition import AgentType
from moonlet.agents.recovery.pace import SLICE_SECONDS
from moonlet.agents.recovery.past_keeper import PastKeeper
from moonlet.agents.recovery.tail import Recovered
from moonlet.agents.services import HostServices, Tasks
from moonlet.core.errors import MoonletError
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.likeness import Unlike, any_key
from moonlet.core.marks import buggify, reached
from moonlet.streams import take_snapshot
from moonlet.telemetry import get_logger

log = get_logger(__name__)

SNAPSHOT_EVERY: Final = 256
"""Commits behind the last snapshot from which another may be worth it."""

SNAPSHOT_BYTES: Final = 262_144
"""Bytes of commits behind the last snapshot from which another may be worth it."""

SNAPSHOT_SECONDS: Final = 0.05
"""Seconds that folding the tail would take, from which another snapshot may be worth it."""

SNAPSHOT_WORTH: Final = 4
"""Bytes of commits for each byte of state: a state is written, read and compared, all of it."""

SNAPSHOT_SPAN: Final = 20_000
"""Messages of the journal from which a tail that was spread over them is not read twice: the server
takes a microsecond for each."""

SNAPSHOT_ANYWAY: Final = 4_096
"""Commits behind the last snapshot from which another is taken however large the state is."""

SNAPSHOT_AT_REST: Final = 16
"""Commits from which leaving memory is worth a snapshot."""

AT_REST_SHARE: Final = 16
"""At rest a snapshot may take this many times the bytes of the commits behind the last."""

UNDER_WAY: Final = 256
"""Snapshots of one partition that are written at once when its host leaves."""


class Snapshotted(Protocol):
    """An agent, as far as its snapshots are concerned."""

    id: AgentId
    fold: Fold[Any] | None
    snapshot_revision: int
    snapshot_bytes: int
    snapshot_due: int
    tail_bytes: int

    @property
    def all_out(self) -> bool:
        """Whether no effect is on its way: a snapshot would hide it."""
        ...

    def lose_past(self, fold: Fold[Any]) -> None:
        """The runs that the fold relies on are gone: have the journal read."""
        ...


class SnapshotPolicy:
    """The snapshots of one partition's agents; losing one only makes a recovery longer."""

    def __init__(
        self,
        services: HostServices,
        agent_type: AgentType[Any],
        journal_stream: str,
        keeper: PastKeeper,
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._services = services
        self._type = agent_type
        self._stream = journal_stream
        self._fold_seconds = 0.0
        self._written: set[asyncio.Future[Any]] = set()
        self._keeper = keeper
        self._keeping: set[AgentId] = set()
        self._tasks = Tasks(on_death)

    def recovered(self, agent: Snapshotted, cost: Recovered) -> None:
        """The agent came back at this cost: take a snapshot if that must not be paid again."""
        if cost.commits >= SNAPSHOT_AT_REST:
            self._fold_seconds = cost.seconds / cost.commits
        if agent.fold is not None and cost.commits > 1 and cost.gone_over >= SNAPSHOT_SPAN:
            self._take(agent, agent.fold)

    def used(self, agent: Snapshotted) -> None:
        """The agent's revision is `snapshot_due`: take a snapshot if its tail has become long.

        Says in `snapshot_due` from which revision on it wants to look again.
        """
        fold = agent.fold
        assert fold is not None
        if fold.past.held:
            self._keep(agent, fold)
        tail = fold.revision - agent.snapshot_revision
        long = (
            tail >= SNAPSHOT_EVERY
            or agent.tail_bytes >= SNAPSHOT_BYTES
            or tail * self._fold_seconds >= SNAPSHOT_SECONDS
        )
        worth = agent.tail_bytes >= agent.snapshot_bytes * SNAPSHOT_WORTH
        if long and (worth or tail >= SNAPSHOT_ANYWAY):
            self._take(agent, fold)
        left = SNAPSHOT_EVERY - (fold.revision - agent.snapshot_revision)
        step = left if 0 < left < SNAPSHOT_AT_REST else SNAPSHOT_AT_REST
        agent.snapshot_due = fold.revision + step

    def at_rest(self, agent: Snapshotted) -> None:
        """The agent leaves memory, or its host does: what is short now is long in a week."""
        fold = agent.fold
        if fold is None or not fold.revision:
            return
        tail = fold.revision - agent.snapshot_revision
        cheap = agent.tail_bytes * AT_REST_SHARE >= agent.snapshot_bytes
        worth = tail >= SNAPSHOT_AT_REST and (cheap or tail >= SNAPSHOT_EVERY)
        if not agent.all_out:
            return
        if fold.past.held:
            self._keep(agent, fold, then=lambda: self._at_rest(agent, fold, worth))
        else:
            self._at_rest(agent, fold, worth)

    def _at_rest(self, agent: Snapshotted, fold: Fold[Any], worth: bool) -> None:
        """All effects were out when it came to rest."""
        taken = False
        if worth or buggify("an agent at rest takes a snapshot anyway"):
            taken = self._take(agent, fold)
        if not taken and fold.caused > fold.dispatched:
            self._watch(self._services.snapshots.note_dispatched(agent.id, fold))

    def _keep(
        self, agent: Snapshotted, fold: Fold[Any], then: Callable[[], None] | None = None
    ) -> None:
        """Store what left the agent's memory, unless that is going on; if it is done, `then`."""
        if agent.id in self._keeping:
            return
        self._keeping.add(agent.id)

        async def keep() -> None:
            try:
                if await self._keeper.keep(agent.id, fold):
                    if then is not None:
                        then()
                else:
                    agent.lose_past(fold)
            except MoonletError as error:
                log.info("the past of an agent is not stored yet", error=str(error))
            finally:
                self._keeping.discard(agent.id)

        self._tasks.spawn(keep(), f"keep the past of {agent.id}")

    def _take(self, agent: Snapshotted, fold: Fold[Any]) -> bool:
        """Whether a snapshot is on its way."""
        incarnation = self._services.ends.known_incarnation(self._stream)
        if incarnation is None or not agent.all_out or fold.past.held:
            return False
        agent.snapshot_revision, agent.tail_bytes = fold.revision, 0  # if not, not soon again
        state = self._encoded(agent, fold.state)
        if state is None:
            return False
        agent.snapshot_bytes = len(state)
        snapshot = take_snapshot(
            fold, agent.id, state=state, incarnation=incarnation, code=self._type.state_code()
        )
        future = self._services.snapshots.store(agent.id, snapshot)
        if future is None:
            self._services.alarm("snapshot too large", agent=str(agent.id))
            return False
        self._watch(future)
        return True

    def _watch(self, future: "asyncio.Future[Any] | None") -> None:
        if future is not None:
            self._written.add(future)
            future.add_done_callback(self._stored)

    def _encoded(self, agent: Snapshotted, state: Any) -> bytes | None:
        """The state as bytes from which it comes back as it was; else the operator is told once."""
        states = self._type.states
        try:
            data = states.encode(state)
        except BaseException as error:  # nothing is awaited here: it is the class's own
            unlike: Unlike | None = states.unencodable(state, error)
        else:
            if len(data) > self._services.bus.max_payload:
                return data  # it won't be stored, and that is told
            unlike = states.unlike(state, data)
            if unlike is None:
                return data
        assert unlike is not None
        reached("a state would not come back from a snapshot")
        self._services.alarm_once(
            "a state does not come back from a snapshot",
            f"{self._type.name} {any_key(unlike.path)}",
            agent=str(agent.id),
            field=unlike.path,
            was=unlike.was,
            comes_back=unlike.comes_back,
            so="its agents go without snapshots, and recover from their whole history: see"
            " docs/operations.md",
        )
        return None

    def _stored(self, future: "asyncio.Future[Any]") -> None:
        self._written.discard(future)
        if not future.cancelled() and future.exception() is not None:
            log.info("a snapshot was not stored", error=str(future.exception()))

    async def leaving(self, agents: Iterable[Snapshotted], seconds: float) -> None:
        """The host leaves them all: the longest tails first, for at most so many seconds.

        In slices, since the lease and the partitions that stay have their turn meanwhile. Whoever
        goes without is only longer in coming back.
        """
        clock = self._services.bus.clock
        began = sliced = clock.monotonic()
        left = sorted(agents, key=lambda agent: agent.tail_bytes)
        while left and clock.monotonic() - began < seconds:
            self.at_rest(left.pop())
            if len(self._written) >= UNDER_WAY:
                await self._settle(seconds - (clock.monotonic() - began), asyncio.FIRST_COMPLETED)
            elif clock.monotonic() - sliced < SLICE_SECONDS:
                continue
            else:
                await asyncio.sleep(0)
            sliced = clock.monotonic()
        if left:
            reached("a host leaves before all snapshots are taken")
            log.info("agents go without a last snapshot", type=self._type.name, agents=len(left))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds - (clock.monotonic() - began))):
                await self._tasks.ended()
        await self._settle(seconds - (clock.monotonic() - began), asyncio.ALL_COMPLETED)

    async def _settle(self, seconds: float, when: str) -> None:
        if self._written and seconds > 0:
            await asyncio.wait(set(self._written), timeout=seconds, return_when=when)

    async def close(self) -> None:
        """Store nothing more of what left memory."""
        await self._tasks.close()
