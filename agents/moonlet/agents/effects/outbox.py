"""One agent's effects on their way out: in commit order per receiver, each tried until it landed.

One publish is in flight per receiver and lane, so effect n is only sent once n-1 has landed: a
receiver then needs one highest number to know what it has had. What can't be delivered within its
time is parked, which counts as dispatched. Nothing is lost by a crash: recovery dispatches all
above `dispatched` again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from moonlet.agents.effects.causes import caused_envelope, facts_of
from moonlet.agents.services import HostServices
from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit, Effect
from moonlet.core.errors import (
    InvalidId,
    InvalidMessage,
    MoonletError,
    PayloadTooLarge,
    UnknownAgentType,
)
from moonlet.core.fold import call_id
from moonlet.core.ids import AgentId
from moonlet.core.marks import buggify, reached
from moonlet.streams import ServerRefused, is_full, store_in_topic
from moonlet.telemetry import get_logger

log = get_logger(__name__)

COMMITS_MAX: Final = 64
"""Commits of one agent whose effects may be outstanding."""

EFFECT_DEADLINE: Final = 30.0
"""Seconds that an effect is tried before it is parked."""

SEND_TIMEOUT: Final = 5.0
"""Seconds until one try's answer is taken for lost."""

Job = tuple[Commit[Any], Encoding, int]
"""A commit, its encoding, and the index of an effect; -1: the commit itself is to be parked."""


class Outbox:
    """The outstanding effects of one agent. Its tasks end with `close`."""

    def __init__(self, agent: AgentId, services: HostServices) -> None:
        self._agent = agent
        self._services = services
        self._waiting: dict[str, deque[Job]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._left: dict[int, int] = {}
        self._done: dict[int, Callable[[], None]] = {}
        self._stacks: dict[int, str] = {}
        self._when_empty: list[Callable[[], None]] = []
        self._changed = asyncio.Event()
        self._cut_off = False

    @property
    def empty(self) -> bool:
        """Whether everything is out."""
        return not self._left

    @property
    def room_left(self) -> int:
        """How many more commits with effects may be added."""
        return max(0, COMMITS_MAX - len(self._left))

    def dispatched(self, revision: int) -> int:
        """The revision up to which effects are out, if `revision` is the agent's last."""
        return min(self._left) - 1 if self._left else revision

    def add(
        self,
        commit: Commit[Any],
        encoding: Encoding,
        indexes: list[int],
        done: Callable[[], None],
        *,
        stack: str = "",
    ) -> None:
        """Dispatch these effects of a commit, then call `done`; commits come in order.

        `stack` is kept with a parked command; it is not in the commit.
        """
        assert indexes
        if stack:
            self._stacks[commit.revision] = stack
            command = commit.command
            kind = f"{self._agent.type}/{command.name}/{commit.reason[:60]}"
            self._services.complain(
                "a command was parked", kind, stack=stack, reason=commit.reason, **facts_of(commit)
            )
        self._left[commit.revision] = len(indexes)
        self._done[commit.revision] = done
        for index in indexes:
            key = _key(commit.effects[index]) if index >= 0 else "park"
            self._waiting.setdefault(key, deque()).append((commit, encoding, index))
            if key not in self._tasks:
                self._tasks[key] = asyncio.get_running_loop().create_task(
                    self._run(key), name=f"outbox {self._agent} {key}"
                )

    def when_empty(self, callback: Callable[[], None]) -> None:
        """Call back once, when everything is out; not at all if the outbox is closed first."""
        assert self._left
        self._when_empty.append(callback)

    async def room(self) -> None:
        """Wait until another commit may be added."""
        while not self.room_left:
            self._changed.clear()
            await self._changed.wait()

    async def drained(self) -> None:
        """Wait until everything is out, or can't get out here: somebody cancelled all tasks."""
        while self._left and not self._cut_off:
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        """Stop; what is not out is dispatched by the next owner."""
        for task in self._tasks.values():
            task.cancel()
        self._left.clear()
        self._done.clear()
        self._waiting.clear()
        self._stacks.clear()
        self._when_empty.clear()

    async def _run(self, key: str) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                job = waiting[0]
                await self._deliver(job)
                waiting.popleft()
                self._landed(job[0].revision)
        except asyncio.CancelledError:
            self._cut_off = True  # by `close`, or by a program that cancels whatever runs
            self._changed.set()
            raise
        finally:
            self._tasks.pop(key, None)
            self._waiting.pop(key, None)

    def _landed(self, revision: int) -> None:
        self._left[revision] -= 1
        if self._left[revision] == 0:
            del self._left[revision]
            self._stacks.pop(revision, None)
            self._done.pop(revision)()
            self._changed.set()
            if not self._left:
                callbacks, self._when_empty = self._when_empty, []
                for callback in callbacks:
                    callback()

    async def _deliver(self, job: Job) -> None:
        """Try until the effect is out, or parked."""
        services = self._services
        clock = services.bus.clock
        started = clock.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._try(job)
                if buggify("an effect goes out twice"):
                    continue
                return
            except (PayloadTooLarge, InvalidId, InvalidMessage) as error:
                await self._park(job, error, attempt)
                return
            except MoonletError as error:
                if isinstance(error, ServerRefused) and is_full(error):
                    services.alarm("internal queue full", agent=str(self._agent), error=str(error))
                if isinstance(error, UnknownAgentType):
                    services.alarm(
                        "a send waits for its agent type", agent=str(self._agent), error=str(error)
                    )
                if clock.monotonic() - started > EFFECT_DEADLINE:
                    reached("an effect is parked")
                    await self._park(job, error, attempt)
                    return
            await services.bus.backoff(attempt)

    async def _try(self, job: Job) -> None:
        commit, encoding, index = job
        if index < 0:
            stack = self._stacks.get(commit.revision, "")
            if commit.error in ("UnknownCommand", "InvalidMessage"):
                self._alarm_unhandled(commit)
            await self._services.parked.park_commit(self._agent, commit, stack=stack)
            return
        effect = commit.effects[index]
        match effect.kind:
            case "send":
                await self._send(commit, encoding, index, effect)
            case "publish":
                await self._publish(commit, encoding, index, effect)
            case "schedule":
                await self._schedule(commit, encoding, index, effect)
            case "cancel":
                await self._services.timers.cancel_all(self._agent, effect.target)
            case "perform":
                await self._perform(commit, encoding, index, effect)

    def _alarm_unhandled(self, commit: Commit[Any]) -> None:
        command = commit.command
        self._services.alarm(
            "a call's result is parked" if command.call else "a timer's firing is parked",
            of=command.call or command.timer,
            reason=commit.reason,
            **facts_of(commit),
        )

    async def _send(
        self, commit: Commit[Any], encoding: Encoding, index: int, effect: Effect[Any]
    ) -> None:
        services = self._services
        target = AgentId.parse(effect.target)
        home = services.registry.known(target.type)
        if home is None:
            home = await services.registry.home(target.type)
        envelope = caused_envelope(commit, index, agent=effect.target, lane=effect.lane)
        await services.mailboxes.put_internal(
            target, envelope, home, encoding, timeout=SEND_TIMEOUT
        )

    async def _publish(
        self, commit: Commit[Any], encoding: Encoding, index: int, effect: Effect[Any]
    ) -> None:
        message = effect.message
        assert message is not None
        await store_in_topic(
            self._services.bus,
            effect.target,
            bytes(message.body),
            id=call_id(commit.agent, commit.revision, index),
            name=message.name,
            version=message.version,
            encoding=encoding,
            agent=commit.agent,
            timeout=SEND_TIMEOUT,
        )

    async def _schedule(
        self, commit: Commit[Any], encoding: Encoding, index: int, effect: Effect[Any]
    ) -> None:
        services = self._services
        await services.timers.cancel_all(self._agent, effect.target, but=commit.revision)
        envelope = caused_envelope(
            commit, index, agent=commit.agent, lane="high", timer=effect.target
        )
        home = await services.registry.home(self._agent.type)
        await services.timers.set(self._agent, envelope, effect.due, home, encoding)

    async def _perform(
        self, commit: Commit[Any], encoding: Encoding, index: int, effect: Effect[Any]
    ) -> None:
        services = self._services
        id = call_id(commit.agent, commit.revision, index)
        envelope = caused_envelope(commit, index, agent=commit.agent, lane="medium", call=id)
        home = await services.registry.home(self._agent.type)
        await services.mailboxes.put_call(
            self._agent, envelope, home, encoding, timeout=SEND_TIMEOUT
        )

    async def _park(self, job: Job, error: MoonletError, attempts: int) -> None:
        """Keep what could not be delivered where an operator finds it; only this has no limit."""
        commit, _, index = job
        self._services.alarm(
            "effect parked", agent=str(self._agent), revision=commit.revision, error=str(error)
        )
        attempt = 0
        while index >= 0:
            attempt += 1
            try:
                await self._services.parked.park_effect(self._agent, commit, index, error, attempts)
                return
            except MoonletError as refused:
                log.error("an effect can't be parked", agent=str(self._agent), error=str(refused))
            await self._services.bus.backoff(attempt)


def _key(effect: Effect[Any]) -> str:
    """What shares a key goes out one after the other."""
    if effect.kind == "send":
        return f"send:{effect.target}:{effect.lane}"
    if effect.kind in ("schedule", "cancel"):
        return f"timer:{effect.target}"
    return effect.kind
