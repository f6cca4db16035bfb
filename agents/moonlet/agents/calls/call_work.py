"""One call's work: its attempts, until one succeeds, none is left, or time is up.

It runs on whatever loop its host has for calls, beside those of others; what it leaves behind are
bytes: all code of users, codecs of their classes too, runs there and not where agents do.
"""

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
import stamina

from moonlet.agents.calls.failures import failure, kind_of
from moonlet.agents.calls.resources import InThread, Resources, aside
from moonlet.agents.definition import CallHandler, Resource
from moonlet.core.codec import Encoding
from moonlet.core.effects import FailureKind, PerformFailed
from moonlet.core.envelope import Envelope
from moonlet.core.errors import InvalidMessage, in_words, stack_of
from moonlet.core.schema import MessageType, is_message_class
from moonlet.telemetry import get_logger, log_context

log = get_logger(__name__)

WORK_FILE: Final = __file__
"""What stands in the stack of a handler's call before the handler."""

stamina.instrumentation.get_on_retry_hooks()  # now, since later it would read files


class Finished(msgspec.Struct, frozen=True):
    """What came of a call: a message for its agent, encoded, or why there is none."""

    name: str = ""
    version: int = 1
    body: bytes = b""
    failed: PerformFailed | None = None


class _Ended(Exception):
    """How an attempt ended if not well; wrapped, since some exceptions can't be raised anywhere."""

    def __init__(self, error: BaseException, kind: FailureKind) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.kind = kind


class CallWork:
    """Made for each time that a host runs a call; `needs` are its handler's resources by name."""

    def __init__(
        self,
        handler: CallHandler,
        call: Envelope,
        encoding: Encoding,
        needs: Mapping[str, Resource],
    ) -> None:
        self.handler = handler
        self.call = call
        self.attempts = 0
        self._encoding = encoding
        self._needs = needs
        self._left: set[asyncio.Task[None]] = set()

    async def run(self, resources: Resources, in_thread: InThread) -> Finished:
        """Try, and try again. Raises `CancelledError` if it is cancelled, and nothing else."""
        handler, policy = self.handler, self.handler.policy
        last: _Ended | None = None
        try:
            call = handler.message.decode(self.call.body, self.call.version, self._encoding)
        except BaseException as error:  # nothing is awaited here: it is the class's own
            return self.failed("bad call", error)
        try:
            async with asyncio.timeout(policy.timeout) as limit:
                async for attempt in stamina.retry_context(
                    on=lambda ended: (
                        policy.retries(ended.error) if isinstance(ended, _Ended) else False
                    ),
                    attempts=policy.attempts,
                    timeout=policy.timeout,
                    wait_initial=policy.wait,
                    wait_max=policy.wait_max,
                    wait_jitter=10 * policy.wait,
                ):
                    with attempt:
                        self.attempts = attempt.num
                        until = limit.when()
                        try:
                            result = await self._attempt(call, resources, in_thread, until)
                        except _Ended as ended:
                            last = ended
                            self._note(ended.error)
                            raise
                        return self._encoded(result)
        except _Ended as ended:
            return self.failed(ended.kind, ended.error)
        except TimeoutError:
            if last is not None:
                return self.failed(last.kind, last.error)
            return self.late(policy.timeout)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # of `retry_on`, which is asked
            return self.failed("raised", error)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(
        self, call: Any, resources: Resources, in_thread: InThread, until: float | None
    ) -> Any:
        """One attempt's result; raises `_Ended`. One that can't be ended is left to itself."""
        loop = asyncio.get_running_loop()
        limit = self.handler.policy.attempt_timeout
        seconds = limit if until is None else min(limit, max(0.0, until - loop.time()))
        outcome: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if not outcome.done():
                outcome.set_result((result, error))

        task = loop.create_task(
            self._handle(call, resources, in_thread, settle), name=f"attempt {self.call.call}"
        )
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        task.add_done_callback(lambda task: settle(None, asyncio.CancelledError()))
        try:
            await asyncio.wait([outcome], timeout=seconds)
        finally:
            if not outcome.done():
                task.cancel()
        if not outcome.done():
            error: BaseException = TimeoutError(f"no result within {seconds:g} s")
            raise _Ended(error, "timeout")
        result, error = outcome.result()
        if error is not None:
            raise _Ended(error, kind_of(error, ours=False))
        return result

    async def _handle(
        self,
        call: Any,
        resources: Resources,
        in_thread: InThread,
        settle: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Run the handler; whatever it raises is data, or it would end the loop."""
        try:
            with log_context(**self._facts()):
                settle(await self._result(call, resources, in_thread), None)
        except GeneratorExit:
            raise
        except BaseException as error:
            settle(None, error)

    async def _result(self, call: Any, resources: Resources, in_thread: InThread) -> Any:
        handler = self.handler
        extras = [
            self.call.call if name == "call_id" else await resources.get(self._needs[name])
            for name in handler.extras
        ]
        if handler.is_async:
            return await handler.function(call, *extras)
        context = contextvars.copy_context()
        work = partial(context.run, handler.function, call, *extras)
        return await aside(in_thread, work, self)

    def _facts(self) -> dict[str, str]:
        """What lines that its handler logs say: whose call it is, and which command caused it."""
        call = self.call
        return {
            "agent": call.agent,
            "command": call.causation_id,
            "correlation": call.correlation_id or call.causation_id,
            "call": call.call,
        }

    def _note(self, error: BaseException) -> None:
        log.warning(
            "a call's attempt failed",
            call=self.call.call,
            handler=self.handler.function.__qualname__,
            attempt=self.attempts,
            error=in_words(error),
            stack=stack_of(error),
        )

    def _encoded(self, result: Any) -> Finished:
        try:
            if not is_message_class(type(result)):
                name, kind = self.handler.function.__qualname__, type(result).__name__
                raise InvalidMessage(f"{name} returned {kind}, which is no message")
            message = MessageType(type(result))
            body = message.encode(result, self._encoding)
        except BaseException as error:  # nothing is awaited here: it is the class's own
            return self.failed("bad result", error)
        return Finished(message.name, message.version, body)

    def late(self, seconds: float) -> Finished:
        """It took longer than it may."""
        return self.failed("timeout", TimeoutError(f"no result within {seconds:g} s"))

    def failed(self, kind: FailureKind, error: BaseException | str) -> Finished:
        """It failed, for that reason."""
        return Finished(failed=failure(self.call, kind, error, self.attempts))
