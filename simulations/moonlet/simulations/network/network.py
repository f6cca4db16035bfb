"""The wires of a world: between each connection and the server, each direction in order.

Latency and faults of a packet are keyed by what it is about, so they are its own. Packets sent at
one instant travel together, as one segment of TCP: the first decides how long, and they arrive in
one step. What a partition swallows tears the connection, as TCP has it: it breaks when the
partition ends.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from hashlib import blake2b
from typing import Final

from moonlet.simulations.faults import Plan, Profile
from moonlet.simulations.jetstream import Packet
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.network.labels import PacketLabels
from moonlet.simulations.seed import Seed, mixed

Arrive = Callable[[Packet], None]
Gate = Callable[[Packet, Arrive], None]

DIGEST_EVERY: Final = 64
"""Packets whose bytes go into the trace as one digest."""

_HALF: Final = (1 << 32) - 1


Segment = list[tuple[Packet, Arrive]]


class ConnectionWire:
    """One connection: its node, and the state of its two directions (in, out)."""

    __slots__ = ("held", "labels", "last_ns", "node", "segments", "sent_ns", "torn")

    def __init__(self, node: str, labels: PacketLabels) -> None:
        self.node = node
        self.labels = labels
        self.last_ns = [0, 0]
        self.sent_ns = [-1, -1]  # when the last segment was sent
        self.segments: list[Segment] = [[], []]  # what travels in it
        self.torn = False
        self.held: list[tuple[Packet, Arrive, Context]] = []


class SimNetwork:
    """Carries packets. `gate` takes those that reached the server; it stands open at first."""

    def __init__(
        self,
        loop: SimLoop,
        seed: Seed,
        plan: Plan,
        profile: Profile,
    ) -> None:
        self._loop = loop
        self._seed = seed
        self._plan = plan
        self._low, high = profile.latency
        self._spread = high - self._low + 1
        self.gate: Gate = _open
        self._wires: dict[str, ConnectionWire] = {}
        self._tries: dict[tuple[str, bool, str], list[int]] = {}
        self._blocked: set[tuple[str, bool]] = set()
        self._held: set[str] = set()
        self._rules: list[Rule] = []
        self._hash = blake2b(digest_size=16)
        self.packets = 0
        self.sent: list[tuple[str, str, int, tuple[str, ...], int]] | None = None

    def attach(self, connection: str, node: str, prefix: str) -> None:
        """A new connection of a node."""
        self._wires[connection] = ConnectionWire(node, PacketLabels(prefix))

    def forget(self, connection: str) -> None:
        """A connection that is over for good."""
        self._wires.pop(connection, None)

    # faults

    def block(self, node: str, *, incoming: bool, outgoing: bool) -> None:
        """Let nothing pass to the node, or from it."""
        if incoming:
            self._blocked.add((node, False))
        if outgoing:
            self._blocked.add((node, True))

    def unblock(self, node: str) -> list[str]:
        """End what `block` began; returns the connections that it tore."""
        self._blocked.discard((node, False))
        self._blocked.discard((node, True))
        torn = [name for name, wire in self._wires.items() if wire.node == node and wire.torn]
        for name in torn:
            self._wires[name].torn = False
        return torn

    def is_blocked(self, node: str) -> bool:
        """Whether no new connection of the node can come about."""
        return (node, True) in self._blocked or (node, False) in self._blocked

    def hold(self, node: str) -> None:
        """Keep what arrives either way, until `release`."""
        self._held.add(node)

    def release(self, node: str) -> None:
        """Let what was held arrive, in its order."""
        self._held.discard(node)
        for wire in self._wires.values():
            if wire.node == node:
                held, wire.held = wire.held, []
                for packet, arrive, context in held:
                    segment = [(packet, arrive)]
                    self._loop.call_soon(self._arrive, wire, segment, context, context=context)

    def rule(self, rule: Rule) -> None:
        """A directed fault for the next packets that it fits."""
        self._rules.append(rule)

    def clear(self) -> None:
        """End all that was directed at single packets."""
        self._rules.clear()

    def nodes_in_trouble(self) -> list[str]:
        """Nodes with a partition or a hold, sorted."""
        return sorted({node for node, _ in self._blocked} | self._held)

    # carrying

    def carry(self, packet: Packet, arrive: Arrive, context: Context) -> None:
        """See `moonlet.simulations.jetstream.Network`."""
        wire = self._wires.get(packet.client)
        if wire is None:
            return
        if packet.message is not None:
            self._hash.update(packet.message.data)
        self.packets += 1
        if self.packets % DIGEST_EVERY == 0:
            self.note_packets()
        key, kinds = wire.labels.key(packet)
        outgoing = packet.to_server
        tries = self._tries.get((wire.node, outgoing, key))
        if tries is None:
            link = f"{wire.node}>" if outgoing else f"{wire.node}<"
            tries = self._tries[wire.node, outgoing, key] = [0, self._seed.keyed(link, key)]
        else:
            tries[0] += 1
            tries[1] = mixed(tries[1])
        attempt, chance = tries
        loop = self._loop
        now = loop.now_ns
        at = now + self._low + ((chance & _HALF) * self._spread >> 32)
        kind, lasts = "", 0
        if kinds:
            if self.sent is not None and not self._plan.over:
                self.sent.append((wire.node, key, attempt, kinds, now))
            fault = self._plan.verdict(kinds, wire.node, key, attempt, chance, now)
            if fault is not None:
                kind, lasts = fault.kind, fault.lasts
                loop.trace.event(now, wire.node, "fault", kind, key, attempt, lasts)
            for rule in self._rules:
                if rule.fits(wire.node, key, kinds):
                    kind, lasts = rule.kind, rule.lasts
                    loop.trace.event(now, wire.node, "fault", kind, key, attempt, lasts)
                    if not rule.left:
                        self._rules.remove(rule)
                    break
            if kind in _LOST:
                return
        if not kind and wire.sent_ns[outgoing] == now:
            wire.segments[outgoing].append((packet, arrive))
            return
        at += lasts
        segment = [(packet, arrive)]
        if kind != "reorder":
            if at < wire.last_ns[outgoing]:
                at = wire.last_ns[outgoing]
            wire.last_ns[outgoing] = at
            wire.sent_ns[outgoing] = now if not kind else -1
            wire.segments[outgoing] = segment
        loop.call_at_ns(at, self._arrive, wire, segment, context, context=context)
        if kind == "duplicate_request":
            again = at + self._low
            loop.call_at_ns(again, self._arrive, wire, segment, context, context=context)

    def _arrive(self, wire: ConnectionWire, segment: Segment, context: Context) -> None:
        for packet, arrive in segment:
            if self._blocked and (wire.node, packet.to_server) in self._blocked:
                wire.torn = True
            elif self._held and wire.node in self._held:
                wire.held.append((packet, arrive, context))
            elif packet.to_server:
                self.gate(packet, arrive)
            else:
                arrive(packet)

    @property
    def digest(self) -> bytes:
        """The digest of the bytes of everything that was sent so far."""
        return self._hash.digest()

    def note_packets(self) -> None:
        """Take that digest into the trace."""
        self._loop.trace.event(self._loop.now_ns, "network", "packets", self.digest)


def _open(packet: Packet, arrive: Arrive) -> None:
    """Let in whatever comes."""
    arrive(packet)


_LOST: Final = frozenset({"drop_request", "lose_ack", "drop_reply", "drop_delivery"})


class Rule:
    """A directed fault: the next `left` packets about `about` that `kind` may hit."""

    def __init__(self, kind: str, about: str, *, left: int = 1, lasts: int = 0) -> None:
        self.kind = kind
        self.about = about
        self.left = left
        self.lasts = lasts

    def fits(self, node: str, key: str, kinds: tuple[str, ...]) -> bool:
        """Whether it hits this packet; that uses it up once."""
        if self.kind not in kinds or self.about not in (node, *key.split(" ")):
            return False
        self.left -= 1
        return True
