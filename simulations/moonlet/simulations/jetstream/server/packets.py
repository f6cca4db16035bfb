"""What passes between a client and the server in memory: the seam for faults."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from moonlet.streams.api import Message

Kind = Literal["message", "subscribe", "unsubscribe", "ping", "pong"]


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One thing on its way between the client `client` and the server, in one direction.

    `number` is the subscription it belongs to; `subject` and `queue` are those of a subscription.
    `session` counts the connections that the client has had: a packet of an earlier one is void.
    """

    client: str
    session: int
    to_server: bool
    kind: Kind
    message: Message | None = None
    number: int = 0
    subject: str = ""
    queue: str = ""


class Network(Protocol):
    """Carries every packet. It may delay, drop or repeat, but keeps the order per direction."""

    def carry(
        self, packet: Packet, arrive: Callable[[Packet], None], context: contextvars.Context
    ) -> None:
        """Call `arrive(packet)` later, never at once, as a step of `context`: the receiver's.

        A timer for it must not belong to the sender, whose crash would stop what is on its way.
        """
        ...


class FairNetwork:
    """Packets arrive one loop step later, in the order they were sent; lost are those told to."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._losses: list[Callable[[Packet], bool]] = []

    def carry(
        self, packet: Packet, arrive: Callable[[Packet], None], context: contextvars.Context
    ) -> None:
        """See `Network`."""
        for loss in self._losses:
            if loss(packet):
                self._losses.remove(loss)
                return
        self._loop.call_soon(arrive, packet, context=context)

    def lose(self, matches: Callable[[Packet], bool], times: int = 1) -> None:
        """Lose the next `times` packets that `matches` says yes to."""
        self._losses += [matches] * times
