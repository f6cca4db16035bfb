"""The phases of a run: boot in calm, faults, healing, everything must finish, check.

When faults end, all hosts come back or only a random core of them (as TigerBeetle's VOPR does it);
from then on there are no new faults, and what is not done in time is a violation.
"""

from __future__ import annotations

import asyncio
import inspect
from asyncio import TimerHandle
from typing import TYPE_CHECKING, Final

from moonlet.simulations.durations import nanoseconds, shown
from moonlet.simulations.faults.kinds import Fault
from moonlet.simulations.loop.waits import waiting
from moonlet.simulations.violations import NotReached

if TYPE_CHECKING:
    from moonlet.simulations.world.world import World

BOOT: Final = "60s"
"""How long hosts may take to start in calm."""

POLL: Final = 0.1
OVERDUE_NS: Final = 2_000_000_000
"""A timer may fire so long after it was due before it counts as missing."""

STEP_NS: Final = 2_000_000
STORM_NS: Final = 1_000_000_000
UNDONE_SHOWN: Final = 8


class Phases:
    """Leads one world through its phases. `name` is the phase that it is in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.name = "boot"
        self._armed: list[TimerHandle] = []
        self.began_ns = 0

    async def boot(self) -> None:
        """Start all hosts, without faults, and wait until every partition has an owner."""
        world = self._world
        for process in world.hosts.values():
            process.boot()
        if world.hosts:
            await world.until(self.owned, BOOT, "every partition has an owner")
        self.name = "safety"
        self.began_ns = world.loop.now_ns
        world.note("phase", "world", self.name)
        for fault in world.plan.begin(world.loop.now_ns, world.horizon_ns, list(world.hosts)):
            self._arm(fault)
        world.loop.call_at_ns(
            self.began_ns + world.horizon_ns, self.heal, context=world.loop.outside
        )

    def owned(self) -> bool:
        """Whether every partition of every type is owned by a host that is up."""
        owned = {
            partition
            for process in self._world.hosts.values()
            if process.node.up and process.host is not None
            for partition in process.host.partitions
        }
        return all(
            (agent_type.name, number) in owned
            for agent_type in self._world.agents
            for number in range(agent_type.partitions)
        )

    # safety

    def _arm(self, fault: Fault) -> None:
        world = self._world
        at_ns = self.began_ns + fault.at
        timer = world.loop.call_at_ns(at_ns, self._apply, fault, context=world.loop.outside)
        self._armed.append(timer)

    def _apply(self, fault: Fault) -> None:
        world = self._world
        if not world.plan.strikes(fault):
            world.loop.trace.forget_step()
            return
        world.note("fault", fault.target, fault.kind, fault.lasts)
        world.plan.note(fault, hit=self._strike(fault))

    def _strike(self, fault: Fault) -> bool:
        """Do it; False if there was nothing to hit."""
        world, kind, target = self._world, fault.kind, fault.target
        lasts = fault.lasts / 1e9
        jetstream = world.jetstream
        match kind:
            case "crash" | "power_cut":
                if not world.hosts[target].node.up:
                    return False
                world.crash(target) if kind == "crash" else world.power_cut(target)
                self._then(fault.lasts, lambda: world.restart(target))
            case "restart_storm":
                for number, name in enumerate(world.hosts):
                    after = number * STORM_NS // len(world.hosts)
                    self._then(after, lambda name=name: world.crash(name))
                    self._then(
                        after + fault.lasts,
                        lambda name=name: world.restart(name),
                    )
            case "drain":
                world.drain(target)
            case "pause":
                world.pause(target)
                self._then(fault.lasts, lambda: world.resume(target))
            case "slow_node":
                world.slow(target, STEP_NS / 1e9)
                self._then(fault.lasts, lambda: world.slow(target, 0))
            case "partition" | "partition_in" | "partition_out":
                world.partition(target, kind.partition("_")[2] or "both")
                self._then(fault.lasts, lambda: world.heal(target))
            case "hold":
                world.hold(target)
                self._then(fault.lasts, lambda: world.release(target))
            case "cut":
                world.cut(target)
            case "skew":
                world.skew(target, lasts)
            case "drift":
                world.drift(target, fault.lasts)
            case "forget_agents":
                world.forget_agents(target)
            case "server_restart":
                jetstream.stop()
                self._then(min(fault.lasts, nanoseconds("1500ms")), jetstream.start)
            case "leader_change":
                jetstream.change_leader()
            case "forget_acks":
                jetstream.forget_acks(lasts)
            case "no_responders":
                jetstream.fail(503, lasts)
            case "slow_storage":
                jetstream.slow(lasts)
            case "storage_full":
                jetstream.full(lasts)
            case "fail_storage":
                jetstream.fail(10023, lasts)
            case "dedupe_expired":
                jetstream.forget_ids()
            case "power_loss":
                jetstream.power_loss(fault.lasts)
            case _:
                raise AssertionError(kind)
        return True

    def _then(self, after_ns: int, call: object) -> None:
        """The end of a fault, unless healing came first."""
        world = self._world

        def end() -> None:
            if self.name == "safety":
                assert callable(call)
                call()

        world.loop.call_at_ns(world.loop.now_ns + after_ns, end, context=world.loop.outside)

    # healing and liveness

    def heal(self) -> None:
        """End all faults for good. Of the hosts only the profile's core may come back."""
        world = self._world
        if self.name != "safety":
            return
        self.name = "liveness"
        world.plan.over = True
        for timer in self._armed:
            timer.cancel()
        world.note("phase", "world", self.name)
        world.network.clear()
        world.jetstream.heal()
        world.heal()
        core = list(world.hosts)
        if world.profile.core:
            core = world.seed.dice("core").sample(core, world.profile.core)
        for name in world.hosts:
            if name in core:
                world.slow(name, 0)
                world.drift(name, 0)
                world.resume(name)
                world.restart(name)
            else:
                world.crash(name)

    async def settle(self) -> None:
        """Heal, and wait until everything is done; raises `NotReached`."""
        world = self._world
        self.heal()
        end = world.loop.now_ns + world.heal_ns
        while True:
            world.chronicle.look()
            undone = self.undone()
            if not undone and not world.loop._stopping:
                undone = await self._missing_goals()
            if not undone:
                break
            if world.loop.now_ns >= end:
                lines = [*undone[1 : 1 + UNDONE_SHOWN], *self.busy(), *waiting(world.loop.tasks)]
                raise NotReached(undone[0], shown(world.heal_ns), lines)
            await asyncio.sleep(POLL)
        world.note("phase", "world", "check")

    def busy(self) -> list[str]:
        """Who owns what, and which agents have something left, a line each."""
        lines = []
        for name, process in self._world.hosts.items():
            host = process.host
            if host is None or not process.node.up:
                lines.append(f"{name} is {'starting' if process.node.up else 'down'}")
                continue
            failure = "" if host.failure is None else f", where a task died: {host.failure!r}"
            lines.append(f"{name} owns {host.partitions or 'nothing'}{failure}")
            for type_, number in host.partitions:
                partition = host.partition(type_, number)
                for agent in partition.agents.values() if partition is not None else ():
                    if not agent.idle:
                        found = f"{agent.phase.told}, {agent.queued} queued"
                        if agent.held:
                            found += f", {len(agent.held)} held"
                        lines.append(f"{name} has {agent.id}: {found}")
        return lines

    async def _missing_goals(self) -> list[str]:
        missing = []
        for name, goal in self._world.goals:
            found = goal()
            if inspect.isawaitable(found):
                found = await found
            if not found:
                missing.append(f"eventually {name}")
        return missing

    def undone(self) -> list[str]:
        """What still has to happen, a line each: commands, effects, calls, overdue timers."""
        world = self._world
        chronicle = world.chronicle
        lines = [
            f"{command.id} to {command.agent} is acknowledged ({command.stream} "
            f"{command.sequence}) and not committed"
            for command in chronicle.undone.values()
            if not chronicle.is_stopped(command.agent)
        ]
        now_us = world.server.now() // 1_000
        for history in chronicle.histories.values():
            if not history.fold.timers and not history.fold.calls:
                continue
            if chronicle.is_stopped(history.agent):
                continue
            for name, where in history.fold.timers.items():
                effect = history.commits[where.revision - 1].effects[where.index]
                if effect.due * 1_000 + OVERDUE_NS < now_us * 1_000:
                    lines.append(f"the timer {name} of {history.agent} did not fire")
            for call in history.fold.calls:
                if call not in chronicle.parked:
                    lines.append(f"the call {call} has no result")
        for agent, id in chronicle.to_note:
            lines.append(f"{id} of {agent} is parked and not in the parked stream yet")
        for id, target in chronicle.sends.items():
            if chronicle.is_stopped(target):
                continue
            lines.append(f"the effect {id} is neither committed by {target} nor parked")
        return lines
