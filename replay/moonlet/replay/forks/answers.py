"""What calls outside are answered in a fork: from the record, by a function, or not at all."""

from collections.abc import Callable
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.calls import failure
from moonlet.core.codec import Encoding
from moonlet.core.commit import Effect
from moonlet.core.envelope import Envelope
from moonlet.core.fold import body_digest, call_id
from moonlet.core.fold import plain_body as plain_of
from moonlet.replay.forks.recording import Recorded, Recording

Answer = Callable[[Any], Any]
"""Takes a call, of its class; returns what `on_perform` would, or raises. None: no answer."""


class RecordedAnswers:
    """The results that were recorded, by the call's id and by its content."""

    def __init__(self, record: Recording, answer: Answer | None) -> None:
        self._answer = answer
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

        What was recorded for the same call, or for another of the same content, goes first.
        """
        content = _content(effect)
        same = self._by_call.get(call.call)
        if same is not None and same[0] == content:
            return _recorded(call, same[1]), same[1].encoding
        alike = self._by_content.get((agent_type.name, content))
        if alike is not None:
            return _recorded(call, alike), alike.encoding
        if self._answer is None:
            return None
        handler = agent_type.performs.get(call.name)
        if handler is None:
            return None
        typed = handler.message.decode(call.body, call.version, encoding)
        try:
            result = self._answer(typed)
        except Exception as error:
            result = failure(call, "raised", error, 1)
        if result is None:
            return None
        message = agent_type.behavior.message_type(type(result))
        body, version = message.write(result, encoding)[0], message.version
        made = _envelope(call, message.name, body, version)
        return made, encoding


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
