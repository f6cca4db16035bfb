"""The phases of a run: boot in calm, faults, healing, everything must finish, check.

When faults end, all hosts come back or only a random core of them (as TigerBeetle's VOPR does it);
from then on there are no new faults, and what is not done in time is a violation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from moonlet.agents import AgentType
from moonlet.simulations.chronicle import Chronicle, open_timers, undone
from moonlet.simulations.durations import shown
from moonlet.simulations.faults import Plan
from moonlet.simulations.loop import waiting
from moonlet.simulations.process import all_owned, busy
from moonlet.simulations.violations import NotReached
from moonlet.simulations.world.server_verbs import JetStreamVerbs
from moonlet.simulations.world.strikes import Strikes
from moonlet.simulations.world.verbs import Verbs
from moonlet.simulations.world.waiting import is_true, until

BOOT: Final = "60s"
"""How long hosts may take to start in calm."""

POLL: Final = 0.1
UNDONE_SHOWN: Final = 8

PickCore = Callable[[list[str]], list[str]]
Goal = tuple[str, Callable[[], object]]


class Phases:
    """Leads one world through its phases. `name` is the phase that it is in.

    Faults last `horizon_ns`, and `heal_ns` later everything must be done, `goals` too. Of the hosts
    those of `pick_core` come back at the end.
    """

    def __init__(
        self,
        verbs: Verbs,
        server: JetStreamVerbs,
        chronicle: Chronicle,
        plan: Plan,
        agents: Sequence[AgentType[Any]],
        pick_core: PickCore,
        *,
        horizon_ns: int,
        heal_ns: int,
    ) -> None:
        self.name = "boot"
        self.began_ns = 0
        self.goals: list[Goal] = []
        self._verbs = verbs
        self._server = server
        self._chronicle = chronicle
        self._plan = plan
        self._strikes = Strikes(verbs, server, plan)
        self._agents = agents
        self._pick_core = pick_core
        self._loop = verbs.loop
        self._horizon_ns = horizon_ns
        self._heal_ns = heal_ns

    async def boot(self) -> None:
        """Start all hosts, without faults, and wait until every partition has an owner."""
        loop, hosts = self._loop, self._verbs.hosts
        for process in hosts.values():
            process.boot()
        if hosts:
            await until(loop, self.owned, BOOT, "every partition has an owner")
        self.name = "safety"
        self.began_ns = loop.now_ns
        loop.note("phase", "world", self.name)
        self._strikes.begin(self._plan.begin(loop.now_ns, self._horizon_ns, list(hosts)))
        loop.call_at_ns(self.began_ns + self._horizon_ns, self.heal, context=loop.outside)

    def owned(self) -> bool:
        """Whether every partition of every type is owned by a host that is up."""
        return all_owned(self._verbs.hosts.values(), self._agents)

    def heal(self) -> None:
        """End all faults for good. Of the hosts only the core may come back."""
        if self.name != "safety":
            return
        verbs = self._verbs
        self.name = "liveness"
        self._plan.over = True
        self._strikes.end()
        self._loop.note("phase", "world", self.name)
        verbs.network.clear()
        verbs.blocks.clear()
        self._server.heal()
        verbs.heal()
        core = self._pick_core(list(verbs.hosts))
        for name in verbs.hosts:
            if name in core:
                verbs.slow(name, 0)
                verbs.drift(name, 0)
                verbs.resume(name)
                verbs.restart(name)
            else:
                verbs.crash(name)

    async def settle(self) -> dict[str, float]:
        """Heal, and wait until everything is done; raises `NotReached`. As `World.settle`."""
        loop = self._loop
        self.heal()
        end = loop.now_ns + self._heal_ns
        while True:
            self._chronicle.look()
            left = self.undone()
            if not left and not loop._stopping:
                left = await self._missing_goals()
            if not left:
                break
            if loop.now_ns >= end:
                lines = [*left[1 : 1 + UNDONE_SHOWN], *self.busy(), *waiting(loop.tasks)]
                raise NotReached(left[0], shown(self._heal_ns), lines)
            await asyncio.sleep(POLL)
        loop.note("phase", "world", "check")
        return open_timers(self._chronicle, self._verbs.server.now())

    def undone(self) -> list[str]:
        """What still has to happen, a line each."""
        return undone(self._chronicle, self._verbs.server.now())

    def busy(self) -> list[str]:
        """Who owns what, and which agents have something left, a line each."""
        return busy(self._verbs.hosts)

    async def _missing_goals(self) -> list[str]:
        return [f"eventually {name}" for name, goal in self.goals if not await is_true(goal)]
