"""Running calls: work for the outside world that agents asked for with `Perform`.

Calls of a type share one durable consumer; any host that runs the type may take one. A call runs
at least once; its result goes to the agent as one internal command, recognised if it comes twice.
"""

import asyncio
from typing import Any, Final

import msgspec

from moonlet.agents.definition import AgentType
from moonlet.agents.services import HostServices, Tasks
from moonlet.core.codec import ENCODING_HEADER, Encoding
from moonlet.core.effects import PerformFailed
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    MAX_REASON,
    InvalidMessage,
    MoonletError,
    PayloadTooLarge,
    Unavailable,
)
from moonlet.core.ids import AgentId
from moonlet.core.schema import MessageType, is_message_class
from moonlet.streams import Consumer, Delivery, decode_envelope, shared_queue
from moonlet.telemetry import get_logger

log = get_logger(__name__)

CALLS_MAX: Final = 64
"""Calls of one type that a host runs at a time."""

CALL_SECONDS: Final = 600.0
"""Seconds that a call may take; then it has failed."""

ACK_WAIT: Final = 30.0
"""Seconds without a sign of life after which a call is given to another host."""


class CallRunner:
    """The calls of a host's types."""

    def __init__(self, services: HostServices, tasks: Tasks) -> None:
        self._services = services
        self._calls: list[_TypeCalls] = []

    async def open(self, agent_type: AgentType[Any]) -> None:
        """Make the consumer of a type's calls, if it has any, and begin to run them."""
        if agent_type.performs:
            calls = _TypeCalls(self._services, agent_type)
            self._calls.append(calls)
            await calls.open()

    async def close(self) -> None:
        """Take no further calls; those running are cancelled and run again elsewhere."""
        for calls in self._calls:
            await calls.close()


class _TypeCalls:
    def __init__(self, services: HostServices, agent_type: AgentType[Any]) -> None:
        self._services = services
        self._type = agent_type
        self._running: set[asyncio.Task[None]] = set()
        bus = services.bus
        filter = f"{bus.subjects.prefix}.call.{agent_type.name}.*"
        stream, name = bus.topology.stream("internal"), f"calls-{agent_type.name}"
        self._consumer = Consumer(
            bus,
            shared_queue(stream, name, [filter], ack_wait=ACK_WAIT),
            credit=CALLS_MAX,
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
            result = await self._result(envelope, encoding)
            await self._bring(agent, envelope, result, encoding)
            self._consumer.acknowledge(delivery, credited=False)
        except Unavailable as error:
            log.info("a call runs again", call=envelope.id, error=str(error))
        finally:
            alive.cancel()

    async def _stay_alive(self, delivery: Delivery) -> None:
        while True:
            await asyncio.sleep(ACK_WAIT / 3)
            self._consumer.in_work(delivery)

    async def _result(self, envelope: Envelope, encoding: Encoding) -> Any:
        """What the handler returns, or why it did not."""
        handler = self._type.performs.get(envelope.name)
        if handler is None:
            return PerformFailed(
                envelope.call, f"agent type {self._type.name} has no on_perform {envelope.name!r}"
            )
        try:
            call = handler.message.decode(envelope.body, envelope.version, encoding)
            arguments = (call, envelope.call) if handler.wants_context else (call,)
            async with asyncio.timeout(CALL_SECONDS):
                result = await handler.function(*arguments)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            return PerformFailed(envelope.call, text[:MAX_REASON])
        if not is_message_class(type(result)):
            return PerformFailed(
                envelope.call,
                f"{handler.function.__qualname__} returned {type(result).__name__}, which is no"
                " message",
            )
        return result

    async def _bring(self, agent: AgentId, call: Envelope, result: Any, encoding: Encoding) -> None:
        """Send the result to the agent, until it has landed."""
        services = self._services
        attempt = 0
        while True:
            attempt += 1
            try:
                message = MessageType(type(result))
                body = message.encode(result, encoding)
                envelope = result_envelope(call, message, body)
                home = await services.registry.home(agent.type)
                await services.mailboxes.put_internal(agent, envelope, home, encoding, timeout=5.0)
                return
            except (InvalidMessage, PayloadTooLarge) as error:
                if isinstance(result, PerformFailed):
                    raise
                result = PerformFailed(call.call, f"its result can't be stored: {error}")
            except MoonletError as error:
                log.info("a result waits", call=call.call, error=str(error))
                await services.bus.backoff(attempt)


def result_envelope(call: Envelope, message: MessageType[Any], body: bytes) -> Envelope:
    """The command that brings a call's result to its agent."""
    return Envelope(
        id=f"{call.call}:result",
        agent=call.agent,
        name=message.name,
        body=msgspec.Raw(body),
        version=message.version,
        lane=call.lane,
        sender=call.agent,
        correlation_id=call.correlation_id,
        causation_id=call.id,
        traceparent=call.traceparent,
        call=call.call,
    )
