"""Alerts of a host, judged in its own loop, and whoever is called then."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from moonlet.agents.hosting.figures import figures
from moonlet.agents.hosting.host import Host
from moonlet.telemetry import get_logger
from moonlet.telemetry.alerts import RULES, AlertChange, AlertJudge, AlertRule

if TYPE_CHECKING:
    from moonlet.agents.client import Client

log = get_logger(__name__)

LOOK_EVERY: Final = 5.0
"""Seconds between two looks."""

CALLS_MAX: Final = 100
"""Calls that wait for their turn; of more the oldest are dropped, and that is logged."""

CALL_SECONDS: Final = 10.0
"""Seconds that one call may take."""

Action = Callable[[str, Sequence[AlertChange]], Awaitable[None]]
"""Called with the host's id and what has changed in one look; what it raises is logged."""


class AlertWatch:
    """Judges while it is open: `async with AlertWatch(host, actions=[webhook(url)]) as watch`.

    The host has to be started, with `metrics`. Each change is logged; for those that are not muted
    `actions` are called, one after the other, beside the looks: a slow one delays no judging. What
    waits to be called when it closes is dropped.
    """

    def __init__(
        self, host: Host, rules: Sequence[AlertRule] = RULES, actions: Sequence[Action] = ()
    ) -> None:
        self.judge = AlertJudge(rules)
        self._host = host
        self._actions = actions
        self._calls: asyncio.Queue[list[AlertChange]] = asyncio.Queue(CALLS_MAX)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "AlertWatch":
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._look_for_ever(), name=f"alerts of {self._host.id}"),
            loop.create_task(self._call_for_ever(), name=f"calls of {self._host.id}"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def acknowledge(self, rule: str, by: str) -> None:
        """See `AlertJudge`."""
        self.judge.acknowledge(rule, by, self.now())
        log.info("an alert was acknowledged", alert=rule, by=by)

    def silence(self, rule: str, seconds: float, by: str) -> None:
        """See `AlertJudge`."""
        self.judge.silence(rule, seconds, by, self.now())
        log.info("an alert was silenced", alert=rule, by=by, seconds=seconds)

    def look(self) -> list[AlertChange]:
        """Judge now, besides the looks that come by themselves."""
        changes = self.judge.look(figures(self._host), self.now())
        for change in changes:
            write = log.info if change.what == "cleared" or change.muted else log.warning
            write(
                f"an alert {change.what}" if change.what != "cleared" else "an alert has cleared",
                alert=change.rule,
                severity=change.severity,
                value=change.value,
                threshold=change.threshold,
                labels=change.labels,
                meaning=change.meaning,
                fix=change.fix,
            )
        told = [change for change in changes if not change.muted]
        if told and self._actions:
            if self._calls.full():
                self._calls.get_nowait()
                log.error("calls for alerts were dropped: the actions are too slow", most=CALLS_MAX)
            self._calls.put_nowait(told)
        return changes

    def now(self) -> float:
        """The time by which it judges, in seconds."""
        return self._host.services.bus.clock.monotonic()

    async def _look_for_ever(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # a mistake of ours ends no host
                log.error("alerts could not be judged", exc_info=error)
            await asyncio.sleep(LOOK_EVERY)

    async def _call_for_ever(self) -> None:
        while True:
            changes = await self._calls.get()
            for action in self._actions:
                try:
                    async with asyncio.timeout(CALL_SECONDS):
                        await action(self._host.id, changes)
                except Exception as error:
                    log.error(
                        "an action for alerts failed",
                        alerts=[change.rule for change in changes],
                        error=str(error) or type(error).__name__,
                    )


def tell_agent(moon: "Client", agent: str, command: Callable[[AlertChange], Any]) -> Action:
    """An action: send `agent` what `command` makes of each change."""

    async def act(_host: str, changes: Sequence[AlertChange]) -> None:
        for change in changes:
            await moon.tell(agent, command(change))

    return act
