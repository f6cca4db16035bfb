"""Running calls: work for the outside world that agents asked for with `Perform`.

Calls of a type share one durable consumer; any host that runs the type may take one. A call runs
at least once; its result goes to the agent as one internal command, recognised if it comes twice.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from moonlet.agents.calls.call_work import CallWork, Finished
from moonlet.agents.calls.failures import failure
from moonlet.agents.calls.places import CallPlace, CallThreads, OneLoop
from moonlet.agents.definition import AgentType, Resource
from moonlet.agents.services import HostServices
from moonlet.core.codec import ENCODING_HEADER, Encoding
from moonlet.core.effects import PerformFailed
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    InvalidMessage,
    InvalidSettings,
    MoonletError,
    PayloadTooLarge,
    Unavailable,
)
from moonlet.core.ids import AgentId
from moonlet.core.schema import MessageType
from moonlet.streams import Consumer, Delivery, decode_envelope, shared_queue
from moonlet.telemetry import get_logger

log = get_logger(__name__)

CALLS_MAX: Final = 64
"""Calls of one type that a host runs at a time, unless the type says otherwise."""

HOST_CALLS_MAX: Final = 256
"""Calls of all types that a host runs at a time, unless it says otherwise."""

ACK_WAIT: Final = 30.0
"""Seconds without a sign of life after which a call is given to another host."""


class CallRunner:
    """The calls of a host's types: `most` at a time, with the host's own `resources`, by name."""

    def __init__(
        self,
        services: HostServices,
        *,
        most: int | None = None,
        resources: Mapping[str, Resource],
    ) -> None:
        self._services = services
        self._calls: list[_TypeCalls] = []
        self._resources = resources
        self._slots = asyncio.Semaphore(most or HOST_CALLS_MAX)
        self._place: CallPlace = CallThreads(services) if services.bus.threads else OneLoop()

    def check(self, agent_type: AgentType[Any]) -> None:
        """Raise `InvalidSettings` if calls of the type need what nobody gives."""
        self._needs(agent_type)

    def _needs(self, agent_type: AgentType[Any]) -> dict[str, Resource]:
        given = {**agent_type.resources, **self._resources}
        for handler in agent_type.performs.values():
            for name in handler.resources:
                if name not in given:
                    raise InvalidSettings(
                        f"{handler.function.__qualname__} of agent type {agent_type.name} takes"
                        f" {name!r}, and no resource has this name: give the host, or the type,"
                        f" resources={{{name!r}: ...}}, a function that opens it"
                    )
        return given

    async def open(self, agent_type: AgentType[Any]) -> None:
        """Make the consumer of a type's calls, if it has any, and begin to run them."""
        if agent_type.performs:
            calls = _TypeCalls(
                self._services, agent_type, self._place, self._slots, self._needs(agent_type)
            )
            self._calls.append(calls)
            await calls.open()

    async def close(self) -> None:
        """Take no further calls; those running are cancelled and run again elsewhere.

        Resources are closed, within some seconds.
        """
        for calls in self._calls:
            await calls.close()
        await self._place.close()


class _TypeCalls:
    def __init__(
        self,
        services: HostServices,
        agent_type: AgentType[Any],
        place: CallPlace,
        slots: asyncio.Semaphore,
        needs: Mapping[str, Resource],
    ) -> None:
        self._services = services
        self._type = agent_type
        self._place = place
        self._slots = slots
        self._needs = needs
        self._running: set[asyncio.Task[None]] = set()
        bus = services.bus
        filter = f"{bus.subjects.prefix}.call.{agent_type.name}.*"
        stream, name = bus.topology.stream("internal"), f"calls-{agent_type.name}"
        self._consumer = Consumer(
            bus,
            shared_queue(stream, name, [filter], ack_wait=ACK_WAIT),
            credit=agent_type.max_calls or CALLS_MAX,
            limit=bus.topology.internal,
            at_least=1,  # a call may run for long, and those that end meanwhile make room
            on_deliveries=self._take,
        )

    async def open(self) -> None:
        await self._consumer.open()

    def _take(self, consumer: Consumer, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            task = asyncio.get_running_loop().create_task(
                self._perform(delivery), name=f"call {delivery.subject}"
            )
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a call's runner died", exc_info=task.exception())
        self._consumer.release()

    async def close(self) -> None:
        """Cancel what runs; it is not acknowledged, so another host runs it."""
        await self._consumer.close(delete=False)
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _perform(self, delivery: Delivery) -> None:
        """Run one call until its result has landed, then acknowledge it."""
        headers = delivery.headers or {}
        try:
            envelope, encoding = decode_envelope(delivery.data, headers.get(ENCODING_HEADER))
            agent = AgentId.parse(envelope.agent)
            if delivery.subject != self._services.bus.subjects.call(agent):
                raise InvalidMessage(f"it says that it is a call of {agent}")
        except MoonletError as error:
            self._services.alarm("foreign call", subject=delivery.subject, error=str(error))
            self._consumer.acknowledge(delivery, credited=False)
            return
        alive = asyncio.get_running_loop().create_task(self._stay_alive(delivery))
        try:
            finished = await self._finished(envelope, encoding)
            await self._bring(agent, envelope, finished, encoding)
            self._consumer.acknowledge(delivery, credited=False)
        except Unavailable as error:
            log.info("a call runs again", call=envelope.id, error=str(error))
        finally:
            alive.cancel()

    async def _stay_alive(self, delivery: Delivery) -> None:
        while True:
            await asyncio.sleep(ACK_WAIT / 3)
            self._consumer.in_work(delivery)

    async def _finished(self, call: Envelope, encoding: Encoding) -> Finished:
        """What came of it: the handler's result, or why there is none."""
        handler = self._type.performs.get(call.name)
        if handler is None:
            why = f"agent type {self._type.name} has no on_perform {call.name!r}"
            return Finished(failed=failure(call, "no handler", why, 0))
        async with self._slots:
            return await self._place.run(CallWork(handler, call, encoding, self._needs))

    async def _bring(
        self, agent: AgentId, call: Envelope, finished: Finished, encoding: Encoding
    ) -> None:
        """Send the result to the agent, until it has landed."""
        services = self._services
        attempt = 0
        while True:
            attempt += 1
            try:
                envelope = result_envelope(call, _encoded(finished, encoding))
                home = await services.registry.home(agent.type)
                await services.mailboxes.put_internal(agent, envelope, home, encoding, timeout=5.0)
                return
            except PayloadTooLarge as error:
                finished = _smaller(call, finished, error)
            except MoonletError as error:
                log.info("a result waits", call=call.call, error=str(error))
                await services.bus.backoff(attempt)


_FAILURES: Final = MessageType(PerformFailed)


def _encoded(finished: Finished, encoding: Encoding) -> Finished:
    """A failure as the message that it is."""
    if finished.failed is None:
        return finished
    body = _FAILURES.encode(finished.failed, encoding)
    return Finished(_FAILURES.name, _FAILURES.version, body)


def _smaller(call: Envelope, finished: Finished, error: PayloadTooLarge) -> Finished:
    """What to send in place of what is too large: a failure, at last without its call."""
    if finished.failed is None:
        why = f"its result can't be stored: {error}"
        return Finished(failed=failure(call, "bad result", why, 0))
    assert finished.failed.call is not None, "without its call a failure is small"
    return Finished(failed=msgspec.structs.replace(finished.failed, call=None))


def result_envelope(call: Envelope, result: Finished) -> Envelope:
    """The command that brings a call's result to its agent."""
    return Envelope(
        id=f"{call.call}:result",
        agent=call.agent,
        name=result.name,
        body=msgspec.Raw(result.body),
        version=result.version,
        lane=call.lane,
        sender=call.agent,
        correlation_id=call.correlation_id,
        causation_id=call.id,
        traceparent=call.traceparent,
        call=call.call,
    )
