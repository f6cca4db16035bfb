"""What calls outside are answered in a fork: from the record, by a function, or not at all."""

import asyncio
import inspect
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.calls import failure
from moonlet.core.codec import Encoding
from moonlet.core.commit import Effect
from moonlet.core.effects import PerformFailed
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Invalid
from moonlet.core.fold import body_digest, call_id
from moonlet.core.fold import plain_body as plain_of
from moonlet.replay.forks.recording import Recorded, Recording

Answer = Callable[[Any], Any]
"""Takes a call, of its class; returns what `on_perform` would, or raises. None: no answer.

A coroutine function is run to its end, one call after the other, on a loop of its own.
"""


class RecordedAnswers:
    """The results that were recorded, by the call's id and by its content.

    In the conversations `afresh` the function is asked before the record.
    """

    def __init__(
        self, record: Recording, answer: Answer | None, afresh: Collection[str] = ()
    ) -> None:
        self._answer = answer
        self._afresh = frozenset(afresh)
        self._by_call: dict[str, tuple[str, Recorded]] = {}
        self._by_content: dict[tuple[str, str], Recorded] = {}
        for each in record.commits:
            for index, effect in enumerate(each.commit.effects):
                if effect.kind != "perform":
                    continue
                call = call_id(each.commit.agent, each.commit.revision, index)
                result = record.by_command.get((each.commit.agent, f"{call}:result"))
                if result is not None:
                    content = _content(effect)
                    self._by_call[call] = content, result
                    type_ = each.commit.agent.partition("/")[0]
                    self._by_content.setdefault((type_, content), result)

    def of(
        self, agent_type: AgentType[Any], call: Envelope, effect: Effect[Any], encoding: Encoding
    ) -> tuple[Envelope, Encoding] | None:
        """The result's command and its encoding; None: nobody answers.

        What was recorded for the same call goes before another of the same content. Raises
        `Invalid` for an answer that the agent type has no handler for.
        """
        first = call.correlation_id in self._afresh
        if first and (made := self._asked(agent_type, call, encoding)) is not None:
            return made
        content = _content(effect)
        same = self._by_call.get(call.call)
        if same is not None and same[0] == content:
            return _recorded(call, same[1]), same[1].encoding
        alike = self._by_content.get((agent_type.name, content))
        if alike is not None:
            return _recorded(call, alike), alike.encoding
        return None if first else self._asked(agent_type, call, encoding)

    def _asked(
        self, agent_type: AgentType[Any], call: Envelope, encoding: Encoding
    ) -> tuple[Envelope, Encoding] | None:
        """What the function says."""
        handler = agent_type.performs.get(call.name)
        if self._answer is None or handler is None:
            return None
        typed = handler.message.decode(call.body, call.version, encoding)
        try:
            result = self._answer(typed)
            if inspect.iscoroutine(result):
                result = _awaited(result)
        except Exception as error:
            result = failure(call, "raised", error, 1)
        if result is None:
            return None
        message = agent_type.behavior.message_type(type(result))
        failed = isinstance(result, PerformFailed)  # a host would park it, if nobody takes it
        if not failed and message.name not in agent_type.behavior.commands:
            raise Invalid(
                f"{call.name} was answered with a {message.name}, and agent type {agent_type.name}"
                " has no handler for it: return what its on_perform does, or None for no answer"
            )
        body, version = message.write(result, encoding)[0], message.version
        return _envelope(call, message.name, body, version), encoding


def _awaited(made: Coroutine[Any, Any, Any]) -> Any:
    """In a thread: a loop may be running here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, made).result()


def _content(effect: Effect[Any]) -> str:
    message = effect.message
    assert message is not None
    return body_digest(message.name, plain_of(message.body))


def _recorded(call: Envelope, result: Recorded) -> Envelope:
    command = result.commit.command
    return _envelope(call, command.name, command.body, command.version)


def _envelope(call: Envelope, name: str, body: Any, version: int) -> Envelope:
    return Envelope(
        id=f"{call.call}:result",
        agent=call.agent,
        name=name,
        body=msgspec.Raw(body),
        version=version,
        lane=call.lane,
        sender=call.agent,
        correlation_id=call.correlation_id,
        causation_id=call.id,
        call=call.call,
    )
