"""The faults of hosts and of the server, as they strike at their moments."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from moonlet.simulations.durations import nanoseconds
from moonlet.simulations.faults import Fault, Plan
from moonlet.simulations.world.server_verbs import JetStreamVerbs
from moonlet.simulations.world.verbs import Verbs

STEP_NS: Final = 2_000_000
"""How long each step of a slow node takes."""

STORM_NS: Final = 1_000_000_000
"""Within so long all hosts are down."""


class Strikes:
    """From `begin` to `end`; those of single messages are the network's."""

    def __init__(self, verbs: Verbs, server: JetStreamVerbs, plan: Plan) -> None:
        self._verbs = verbs
        self._server = server
        self._plan = plan
        self._loop = verbs.loop
        self._armed: list[TimerHandle] = []
        self._over = False

    def begin(self, faults: Iterable[Fault]) -> None:
        """Let each strike at its moment, counted from now."""
        loop = self._loop
        for fault in faults:
            at_ns = loop.now_ns + fault.at
            self._armed.append(loop.call_at_ns(at_ns, self._apply, fault, context=loop.outside))

    def end(self) -> None:
        """Nothing strikes any more, and what was struck is not put right here."""
        self._over = True
        for timer in self._armed:
            timer.cancel()

    def _apply(self, fault: Fault) -> None:
        if not self._plan.strikes(fault):
            self._loop.trace.forget_step()
            return
        self._loop.note("fault", fault.target, fault.kind, fault.lasts)
        self._plan.note(fault, hit=self._strike(fault))

    def _strike(self, fault: Fault) -> bool:
        """Do it; False if there was nothing to hit."""
        verbs, kind, target = self._verbs, fault.kind, fault.target
        lasts = fault.lasts / 1e9
        server = self._server
        match kind:
            case "crash" | "power_cut":
                if not verbs.hosts[target].node.up:
                    return False
                verbs.crash(target) if kind == "crash" else verbs.power_cut(target)
                self._then(fault.lasts, partial(verbs.restart, target))
            case "restart_storm":
                for number, name in enumerate(verbs.hosts):
                    after = number * STORM_NS // len(verbs.hosts)
                    self._then(after, partial(verbs.crash, name))
                    self._then(after + fault.lasts, partial(verbs.restart, name))
            case "drain":
                verbs.drain(target)
            case "pause":
                verbs.pause(target)
                self._then(fault.lasts, partial(verbs.resume, target))
            case "block":
                verbs.block(target, lasts)
            case "slow_node":
                verbs.slow(target, STEP_NS / 1e9)
                self._then(fault.lasts, partial(verbs.slow, target, 0))
            case "partition" | "partition_in" | "partition_out":
                verbs.partition(target, kind.partition("_")[2] or "both")
                self._then(fault.lasts, partial(verbs.heal, target))
            case "hold":
                verbs.hold(target)
                self._then(fault.lasts, partial(verbs.release, target))
            case "cut":
                verbs.cut(target)
            case "skew":
                verbs.skew(target, lasts)
            case "drift":
                verbs.drift(target, fault.lasts)
            case "forget_agents":
                verbs.forget_agents(target)
            case "server_restart":
                server.stop()
                self._then(min(fault.lasts, nanoseconds("1500ms")), server.start)
            case "revive":
                server.stop()
                self._then(min(fault.lasts, nanoseconds("1500ms")), server.start)
                return server.revive()
            case "lag":
                return server.lag(lasts)
            case "old_leader":
                return server.old_leader(lasts)
            case "leader_change":
                server.change_leader()
            case "forget_acks":
                server.forget_acks(lasts)
            case "no_responders":
                server.fail(503, lasts)
            case "slow_storage":
                server.slow(lasts)
            case "storage_full":
                server.full(lasts)
            case "fail_storage":
                server.fail(10023, lasts)
            case "dedupe_expired":
                server.forget_ids()
            case "power_loss":
                server.power_loss(fault.lasts)
            case _:
                raise AssertionError(kind)
        return True

    def _then(self, after_ns: int, call: Callable[[], object]) -> None:
        """The end of a fault, unless healing came first."""
        loop = self._loop

        def end() -> None:
            if not self._over:
                call()

        loop.call_at_ns(loop.now_ns + after_ns, end, context=loop.outside)
