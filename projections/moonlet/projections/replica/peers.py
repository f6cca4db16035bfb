"""What replicas of a view tell each other, and how one that is behind catches up from another.

Core NATS: everything may be lost, doubled or late, and is only said again. The journals are the
first source; a peer is asked where a journal can't be read, or when very much is missing.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from moonlet.core.errors import LimitExceeded, Unavailable
from moonlet.core.marks import buggify, reached
from moonlet.projections.errors import DeltaGap, DeltaRefused
from moonlet.projections.exchange import (
    Giver,
    Heartbeat,
    differs,
    make_heartbeat,
    read_heartbeat,
    take,
)
from moonlet.projections.replica.materialized_view import MaterializedView
from moonlet.projections.replica.probe import check_marks
from moonlet.projections.view import heartbeat_subject, replica_subject
from moonlet.streams import Bus, Message, ServerRefused, Subscription
from moonlet.telemetry import get_logger

log = get_logger(__name__)

BEAT_SECONDS: Final = 1.0
"""Between heartbeats, a tenth more or less by chance."""

FAR_BEHIND: Final = 5_000
"""Commits that a peer must be ahead before it is asked although the journals can be read."""

MAX_PEERS: Final = 256
"""Replicas of one view that are remembered; beyond it, who was silent longest is forgotten."""

FORGET_SECONDS: Final = 10.0
"""A peer that was silent for so long isn't asked; nor is one that gave what had to be refused."""

HELLO_SECONDS: Final = 0.5
"""How long a replica that joins waits for the others to answer."""

JOIN_TRIES: Final = 3
"""Peers that a replica which joins asks at most."""


class Peer(NamedTuple):
    """Another replica: its last heartbeat, and when it came."""

    heartbeat: Heartbeat
    heard: float


class PeerExchange:
    """One replica's part in the talk. `unread` says which journals can't be read now."""

    def __init__(
        self,
        bus: Bus,
        materialized: MaterializedView,
        name: str,
        *,
        unread: Callable[[], set[str]],
        on_joined: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._materialized = materialized
        self._view = materialized.state.view
        self.name = name
        self._unread = unread
        self._on_joined = on_joined
        self._giver = Giver(bus, materialized.state)
        self._subscriptions: list[Subscription] = []
        self._avoided: dict[str, float] = {}
        self._heard = asyncio.Event()
        self._answered = asyncio.Event()
        self._last_vector: list[int] = []
        self._muted = False
        self.peers: dict[str, Peer] = {}
        self.refused: Counter[str] = Counter()
        """What came in and was refused, by fault."""
        self.diverged: set[str] = set()
        """Peers with another digest at the same frontier: one of the two is wrong."""

    async def open(self) -> None:
        """Listen, and say hello: the others answer at once."""
        bus, view = self._bus, self._view
        own = replica_subject(bus, view, self.name)
        beats = heartbeat_subject(bus, view)
        self._subscriptions = [
            await bus.subscribe(own, self._give),
            await bus.subscribe(beats, self._hear),
        ]
        self._beat(reply=own)

    def mute(self) -> None:
        """Give nothing more: what is held may be wrong."""
        self._muted = True

    def _give(self, message: Message) -> None:
        if not self._muted:
            self._giver.answer(message)

    async def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    # -- heartbeats ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Beat, and catch up from a peer where that is called for; for ever."""
        while True:
            pause = BEAT_SECONDS * (0.9 + 0.2 * self._bus.entropy.uniform())
            try:
                async with asyncio.timeout(pause):
                    while True:
                        await self._heard.wait()
                        self._heard.clear()
                        await self._catch_up()
            except TimeoutError:
                self._tick()
            await self._catch_up()

    def _tick(self) -> None:
        """One beat: save what a lock held back, know the digest of what stands still, say it."""
        materialized = self._materialized
        materialized.save()
        if self._last_vector == materialized.state.vector:
            materialized.digest()
        self._last_vector = list(materialized.state.vector)
        self._beat()

    def _beat(self, reply: str = "") -> None:
        materialized = self._materialized
        heartbeat = make_heartbeat(
            materialized.state,
            self.name,
            durable=materialized.durable,
            digest=materialized.digest_at_hand(),
        )
        try:
            subject = heartbeat_subject(self._bus, self._view)
            self._bus.post(subject, heartbeat, reply=reply)
        except Unavailable:
            pass  # the next one will do

    def _hear(self, message: Message) -> None:
        materialized = self._materialized
        try:
            heartbeat = read_heartbeat(materialized.state, message.data)
        except DeltaRefused as error:
            self.refused[error.fault] += 1
            return
        name = heartbeat.replica
        if name == self.name or self._muted:
            return
        self.peers.pop(name, None)
        self.peers[name] = Peer(heartbeat, self._bus.clock.monotonic())
        while len(self.peers) > MAX_PEERS:
            del self.peers[next(iter(self.peers))]
        self._answered.set()
        if message.reply:
            self._beat()
        digest = materialized.digest_at_hand()
        if digest and differs(materialized.state, heartbeat, digest):
            if name not in self.diverged:
                log.error(
                    "replicas differ at one frontier: run `moonlet view NAME compare`, and rebuild",
                    view=self._view.name,
                    replica=self.name,
                    other=name,
                )
            self.diverged.add(name)
        elif digest and heartbeat.digest and heartbeat.vector == materialized.state.vector:
            self.diverged.discard(name)
        if self._best(self._unread()) is not None:
            self._heard.set()

    # -- catching up -----------------------------------------------------------------------------

    async def join(self) -> bool:
        """Take what a peer has that we don't, whatever it is; False if nobody offers anything."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                while not self._candidates(None):
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            return False
        joined = False
        for _ in range(JOIN_TRIES):
            found = self._candidates(None)
            if not found:
                break
            joined = await self._take_from(found[0]) or joined
        return joined

    async def _catch_up(self) -> None:
        """Ask the peer that is furthest ahead, if a journal can't be read or much is missing."""
        peer = self._best(self._unread())
        if peer is not None:
            await self._take_from(peer)

    def _best(self, unread: set[str]) -> str | None:
        ahead = 1 if buggify("a peer is asked though the journals would do") else FAR_BEHIND
        near = self._candidates(None, ahead)
        found = near or (self._candidates(unread) if unread else [])
        return found[0] if found else None

    def _candidates(self, journals: set[str] | None, ahead: int = 1) -> list[str]:
        """Peers at least so far ahead, in `journals` or in all; the furthest first."""
        now = self._bus.clock.monotonic()
        found: list[tuple[int, str]] = []
        for name, peer in self.peers.items():
            if name in self.diverged or now - peer.heard > FORGET_SECONDS:
                continue
            if now - self._avoided.get(name, -FORGET_SECONDS) < FORGET_SECONDS:
                continue
            lead = self._lead(peer, journals)
            if lead >= ahead:
                found.append((-lead, name))
        return [name for _, name in sorted(found)]

    def _lead(self, peer: Peer, journals: set[str] | None) -> int:
        state = self._materialized.state
        return sum(
            max(0, theirs - mine)
            for journal, theirs, mine in zip(
                state.journals.names, peer.heartbeat.vector, state.vector, strict=True
            )
            if journals is None or journal in journals
        )

    async def _take_from(self, name: str) -> bool:
        """Ask one peer. Whatever goes wrong, nothing has changed, and it isn't asked for a while.

        The file's own errors go through.
        """
        materialized = self._materialized
        try:
            subject = replica_subject(self._bus, self._view, name)
            taken = await take(self._bus, subject, materialized.state)
            ends = await check_marks(self._bus, materialized.state.journals.ids, taken.marks)
            joined = materialized.join(taken.delta, taken.marks, ends)
        except (DeltaRefused, DeltaGap, LimitExceeded, Unavailable, ServerRefused) as error:
            fault = getattr(error, "fault", type(error).__name__)
            self.refused[fault] += 1
            log.warning(
                "no delta from a replica", view=self._view.name, other=name, error=str(error)
            )
            self._avoid(name)
            return False
        if joined:
            reached("a replica joins what a peer gave")
            self._on_joined()
        elif name in self.peers and self._lead(self.peers[name], None):
            self._avoid(name)  # it claims more than it gives
        return joined

    def _avoid(self, name: str) -> None:
        self._avoided[name] = self._bus.clock.monotonic()
        while len(self._avoided) > MAX_PEERS:
            del self._avoided[next(iter(self._avoided))]
