"""A replica: a view in this process, on disk and up to date, read locally."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

import sqlite_utils

from moonlet.core.errors import Conflict, Invalid, Unavailable
from moonlet.core.frontier import Frontier
from moonlet.projections.errors import PoisonedEvent
from moonlet.projections.exchange import store_snapshot
from moonlet.projections.files import FILES, Disk
from moonlet.projections.replica.control import Control, Order
from moonlet.projections.replica.lifecycle import ReplicaLifecycle
from moonlet.projections.replica.rewind import check_reachable
from moonlet.projections.values import Amount, Dot, Observed
from moonlet.projections.view import FieldPlan, KnownAgentType, View, control_subject
from moonlet.streams import Bus
from moonlet.telemetry import get_logger

log = get_logger(__name__)

RETRY_SECONDS: Final = 10.0
"""Within which a replica that is tried again has read what it had read before."""

PASS_SECONDS: Final = 2.0
"""How long an answer to an operator waits for the event that stopped the view to be past."""


class ReplicaClient(Protocol):
    """What a replica needs of `connect()`'s client, which must be open."""

    @property
    def bus(self) -> Bus:
        """Its way to the streams."""
        ...

    @property
    def types(self) -> Mapping[str, KnownAgentType]:
        """The agent types whose code it knows."""
        ...


class Replica:
    """`async with Replica(moon, exposure, path="exposure.db") as replica:`; reads are local.

    Opening probes every journal and raises `JournalFault` rather than serve what no longer is.
    The file belongs to one replica at a time; losing it costs a rebuild. `search` names fields
    whose values get a full-text index. `disk` is for simulations. Operations (`pause` and what
    follows it) take turns; `moonlet view NAME pause` and its like ask for them from outside.
    """

    def __init__(
        self,
        moon: ReplicaClient,
        view: View,
        path: str | Path,
        *,
        search: Iterable[str] = (),
        disk: Disk = FILES,
    ) -> None:
        self._moon = moon
        self._lifecycle = ReplicaLifecycle(view, Path(path), search, disk)
        self._turn = asyncio.Lock()
        self._control: Control

    async def __aenter__(self) -> "Replica":
        self._lifecycle.bus = self._moon.bus
        self.view.check(self._moon.types.values())
        await self._lifecycle.open()
        self._control = Control(
            self._lifecycle.bus,
            control_subject(self._lifecycle.bus, self.view.name, self.name),
            self._lifecycle.status,
            {
                "pause": lambda _: self.pause(),
                "resume": lambda _: self._and_pass(self.resume),
                "retry": lambda _: self._and_pass(self.retry),
                "skip": lambda order: self._and_pass(lambda: self._skip(order.to)),
                "seek": self._seek_as_told,
            },
        )
        try:
            await self._control.open()
        except BaseException:
            await self._lifecycle.leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._control.close()
        await self._lifecycle.leave()

    @property
    def view(self) -> View:
        """Its view."""
        return self._lifecycle.view

    @property
    def path(self) -> Path:
        """Where its file is."""
        return self._lifecycle.path

    @property
    def name(self) -> str:
        """Its own name, kept in the file."""
        return self._lifecycle.name

    @property
    def failure(self) -> Exception | None:
        """What stopped it; after a `PoisonedEvent` it still serves what came before."""
        return self._lifecycle.failure

    @property
    def paused(self) -> bool:
        """Whether `pause` or `seek` stopped it."""
        return self._lifecycle.paused

    # -- reading ---------------------------------------------------------------------------------

    @property
    def value(self) -> dict[str, Any]:
        """The value of every field, plain data."""
        return self._lifecycle.held().state.value

    @property
    def digest(self) -> str:
        """Hex over name, version, frontier and canonical state; a full pass once per frontier."""
        return self._lifecycle.held().digest()

    @property
    def frontier(self) -> Frontier:
        """Journal → the last sequence that is folded: the session's token for other replicas."""
        return self._lifecycle.held().state.frontier

    @property
    def durable(self) -> Frontier:
        """How far the file is; never ahead of `frontier`."""
        return self._lifecycle.held().durable

    @property
    def skipped(self) -> frozenset[Dot]:
        """The commits that it leaves out, by `skip`."""
        return self._lifecycle.held().state.skipped

    @property
    def db(self) -> sqlite_utils.Database:
        """The file, read-only, for SQL: one table per field, as of the last save."""
        return self._lifecycle.reader()

    def read(self, field: str, key: str | None = None) -> tuple[Any, Observed]:
        """The value of a field, or of one key of it, and the token to write it with."""
        return self._lifecycle.held().state.read(field, key)

    def available(self, field: str, journal: str, key: str = "") -> Amount:
        """What an author in `journal` may spend of a `BoundedCounter`, as far as is known here."""
        return self._lifecycle.held().state.available(field, journal, key)

    def explain(self) -> tuple[FieldPlan, ...]:
        """For each field: does an ordered fold do in the topology in force, or why a CRDT."""
        return self.view.explain(self._lifecycle.bus.topology, self._moon.types.values())

    async def wait_for(self, token: Frontier, *, timeout: float | timedelta = 5.0) -> None:
        """Return once everything that `token` has seen is folded: `moon.token`, or a `frontier`.

        Journals that the view doesn't fold are passed over. Raises what stopped the replica, and
        `Unavailable` when time is up.
        """
        materialized = self._lifecycle.held()
        wanted = materialized.relevant(token)
        if materialized.state.frontier.covers(wanted):
            return
        if self.failure is not None:
            raise self.failure
        reached = materialized.reached(wanted)
        tasks = self._lifecycle.tasks
        for feed in tasks.feeds if tasks is not None else ():
            feed.look()
        limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        try:
            async with asyncio.timeout(limit):
                await reached
        except TimeoutError:
            lacking = {n: at for n, at in wanted.sequences.items() if self.frontier.at(n) < at}
            raise Unavailable(
                f"view {self.view.name} did not reach {lacking} within {limit} s: it is at"
                f" {self.frontier.sequences}{' and paused' if self.paused else ''}; wait longer,"
                " or see in the log whether the journals can be reached"
            ) from None

    async def changes(self) -> AsyncGenerator[Frontier, None]:
        """The frontier now, and whenever it has moved; several moves may come as one.

        Raises what stops the replica.
        """
        seen: Frontier | None = None
        while True:
            materialized = self._lifecycle.held()
            frontier = materialized.state.frontier
            if frontier != seen:
                seen = frontier
                yield frontier
            elif self.failure is not None:
                raise self.failure
            else:
                await materialized.moved()

    # -- operations ------------------------------------------------------------------------------

    async def pause(self) -> None:
        """Fold nothing more and keep silent, until `resume`; reads go on."""
        async with self._turn:
            await self._lifecycle.pause()

    async def resume(self) -> None:
        """Go on after `pause` or `seek`: probe, and follow; raises as opening does."""
        lifecycle = self._lifecycle
        async with self._turn:
            if lifecycle.failure is not None:
                await self._open_again()
                return
            lifecycle.paused = False
            if lifecycle.tasks is None:
                await lifecycle.start()

    async def retry(self) -> None:
        """Open the file again, probe, and go on; raises what still stands in the way.

        Returns when everything that was read before can be read again.
        """
        async with self._turn:
            await self._open_again()

    async def _open_again(self) -> None:
        lifecycle = self._lifecycle
        lifecycle.paused = False
        await lifecycle.halt()
        assert lifecycle.materialized is not None, "a replica is used inside `async with`"
        before = lifecycle.materialized.state.frontier
        lifecycle.close()
        await lifecycle.open()
        await self.wait_for(before, timeout=RETRY_SECONDS)

    async def skip(self) -> None:
        """Leave out the commit that stopped this view, for ever, and go on.

        Replicas that skip different commits don't exchange deltas: their states differ.
        """
        await self._skip({})

    async def _skip(self, seen: Mapping[str, int]) -> None:
        """As `skip`; `seen` is where who wants it saw the view stopped, if they said so."""
        async with self._turn:
            lifecycle, poison = self._lifecycle, self.failure
            if not isinstance(poison, PoisonedEvent):
                raise Invalid(f"view {self.view.name} isn't stopped by an event: nothing to skip")
            if seen and dict(seen) != {poison.stream: poison.sequence}:
                raise Conflict(
                    f"view {self.view.name} is stopped at {poison.stream} sequence"
                    f" {poison.sequence} now, not at {dict(seen)}: look at that one first"
                )
            await lifecycle.halt()
            journals = lifecycle.held().state.journals
            tag = journals.tags[journals.index[poison.stream]]
            log.warning(
                "a commit is skipped",
                view=self.view.name,
                journal=poison.stream,
                sequence=poison.sequence,
            )
            lifecycle.leave_out(Dot(tag, poison.sequence))
            await lifecycle.open()

    async def seek(self, frontier: Frontier, *, timeout: float | timedelta = 60.0) -> None:
        """Become the view as of `frontier`, and pause there; journals left out are at their start.

        Going back rebuilds the file from the journals. Raises `Invalid` for a frontier past a
        journal's end, with nothing changed, and `PoisonedEvent`; `resume` goes on from wherever it
        stands then.
        """
        lifecycle = self._lifecycle
        limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        async with self._turn:
            await check_reachable(lifecycle.bus, lifecycle.held(), frontier)
            try:
                async with asyncio.timeout(limit):
                    await lifecycle.go_to(frontier)
            except TimeoutError:
                raise Unavailable(
                    f"view {self.view.name} did not get to {frontier.sequences} within {limit} s:"
                    f" it is at {self.frontier.sequences} and paused; seek again to go on"
                ) from None

    async def _seek_as_told(self, order: Order) -> None:
        """Seek by an operator's order, in which a name that means nothing is a slip."""
        names = self._lifecycle.held().state.journals.names
        unknown = sorted(set(order.to) - set(names))
        if unknown:
            raise Invalid(
                f"view {self.view.name} folds no journal {', '.join(unknown)}; it folds"
                f" {', '.join(names)}"
            )
        await self.seek(Frontier.of(order.to), timeout=order.seconds)

    async def _and_pass(self, operation: Callable[[], Awaitable[None]]) -> None:
        """Do it, and see whether what stopped the view is past, or stops it again."""
        poison = self.failure
        await operation()
        if isinstance(poison, PoisonedEvent):
            try:
                past = Frontier({poison.stream: poison.sequence})
                await self.wait_for(past, timeout=PASS_SECONDS)
            except (PoisonedEvent, Unavailable):
                pass  # the status says so

    async def snapshot(self) -> None:
        """Store the state for replicas that join when no other is there."""
        await store_snapshot(self._lifecycle.bus, self._lifecycle.held().state)
