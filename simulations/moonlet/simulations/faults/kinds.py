"""What can go wrong in a world: the kinds, and one concrete fault of a kind.

`faults.all()`, `faults.none()`, `faults.only("crash", "lose_ack")` say what a simulation may use.
"""

from typing import Final

import msgspec

from moonlet.core.errors import InvalidSettings
from moonlet.simulations.durations import shown

WIRE: Final = {
    "drop_request": "a client's message is lost on its way to the server",
    "duplicate_request": "a client's message arrives twice",
    "delay_request": "a client's message, and all behind it, arrive late",
    "lose_ack": "the acknowledgement of a delivery is lost",
    "drop_reply": "the server's answer is lost",
    "delay_reply": "the server's answer, and all behind it, arrive late",
    "reorder": "the server's answer is overtaken by later ones",
    "drop_delivery": "a delivery is lost on its way to the host",
    "delay_delivery": "a delivery, and all behind it, arrive late",
    "buggify": "the code takes a rare turn that it may take at any time",
}
"""Faults of one message, or of one mark in the code: `key` and `attempt` say which."""

HOSTS: Final = {
    "crash": "the process is killed; the system closes its connection",
    "power_cut": "the machine is gone; the server keeps its connection for a while",
    "restart_storm": "all hosts are killed within a second",
    "drain": "SIGTERM: the host hands over, and is started again",
    "pause": "the process stops as by SIGSTOP, and goes on later",
    "slow_node": "each step of the process takes two milliseconds",
    "partition": "nothing passes between the host and the server",
    "partition_in": "nothing passes from the server to the host",
    "partition_out": "nothing passes from the host to the server",
    "hold": "what is sent either way waits, and arrives later",
    "cut": "the connection breaks, with all that is on its way",
    "skew": "the wall clock jumps",
    "drift": "the clocks run too fast or too slow",
    "forget_agents": "agents that rest leave memory at once",
}
"""Faults of one host, from `at` on for `lasts`."""

SERVER: Final = {
    "server_restart": "the server is killed and started again: ids of removed messages are gone",
    "revive": "the same; what had run out stands there again, and never will run out",
    "old_leader": "a server that is the leader no longer answers as one, up to a second",
    "lag": "replicas fall behind their leaders: what any replica answers is old",
    "leader_change": "streams have no leader for a moment; waiting pulls die silently",
    "forget_acks": "acknowledgements of deliveries are lost, as when a consumer changes its leader",
    "no_responders": "JetStream answers 503 to everything",
    "slow_storage": "what is to be stored waits",
    "storage_full": "what is to be stored is refused: a limit is reached",
    "fail_storage": "what is to be stored is refused: no resources",
    "dedupe_expired": "the server forgets all message ids",
}
"""Faults of the server, from `at` on for `lasts`."""

HANDLERS: Final = {
    "block": "the next handler of the host keeps its loop; over two seconds its process ends",
}
"""Faults of handlers. Only by name: over the limit a command is parked that else would not be."""

UNSAFE: Final = {
    "power_loss": "the server loses the last messages that it acknowledged, and restarts",
}
"""Faults that break promises; only by name, to see how much is lost."""

KINDS: Final = {**WIRE, **HOSTS, **SERVER, **HANDLERS, **UNSAFE}


class Fault(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """One fault. `at` and `lasts` are nanoseconds since faults began, and of how long.

    A wire fault has no `at`: it hits the try number `attempt` (from 0) of the message `key` on
    the link of the node `target`; `buggify` that of the mark `key` in the process `target`.
    """

    at: int = 0
    kind: str = ""
    target: str = ""
    lasts: int = 0
    key: str = ""
    attempt: int = 0

    def __str__(self) -> str:
        lasts = f" {shown(self.lasts)}" if self.lasts else ""
        if self.kind in WIRE:
            which = f"try {self.attempt + 1}" if self.attempt else "first try"
            if self.kind == "buggify":
                return f"{self.kind}   {self.target}   {self.key}   {which}"
            way = "<- nats" if self.kind in _TO_CLIENT else "-> nats"
            return f"{self.kind}{lasts}   {self.target} {way}   {self.key}   {which}"
        return f"{self.kind}{lasts}   {self.target}   t={shown(self.at)}"


_TO_CLIENT: Final = ("drop_reply", "delay_reply", "reorder", "drop_delivery", "delay_delivery")


class FaultSet(msgspec.Struct, frozen=True):
    """The kinds that a simulation may draw from, in the order of `KINDS`."""

    kinds: tuple[str, ...]


def all() -> FaultSet:
    """Every kind that leaves the promises whole."""
    return FaultSet(tuple(kind for kind in KINDS if kind not in UNSAFE and kind not in HANDLERS))


def none() -> FaultSet:
    """No faults: latencies alone vary."""
    return FaultSet(())


def only(*kinds: str) -> FaultSet:
    """These kinds. Raises `InvalidSettings` for an unknown one."""
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise InvalidSettings(
            f"no faults are called {', '.join(unknown)}; there are: {', '.join(KINDS)}"
        )
    return FaultSet(tuple(kind for kind in KINDS if kind in kinds))
