"""One satellite alone: commands one after another, what came of each, nothing dispatched."""

from typing import Any, Generic, TypeVar

import msgspec

from moonlet.agents import AgentType, Context
from moonlet.core.schema import MessageType, decode_plain

S = TypeVar("S")


class Step(msgspec.Struct, frozen=True):
    """What came of one command; effects are (kind, target, message name, plain body)."""

    outcome: str
    reason: str
    events: list[Any]
    effects: list[tuple[str, str, str, Any]]
    reply: Any

    def of(self, cls: type[S]) -> list[S]:
        """The events of a class."""
        return [event for event in self.events if isinstance(event, cls)]

    def sends(self, name: str) -> list[tuple[str, Any]]:
        """Who was sent messages of a name, and the bodies."""
        return [
            (to, body) for kind, to, sent, body in self.effects if (kind, sent) == ("send", name)
        ]


class Play(Generic[S]):
    """An agent that plays on: `do` decides a command on the state that the last one left."""

    def __init__(self, agent_type: AgentType[S], key: str = "main") -> None:
        agent_type.check()
        self.type = agent_type
        self.id = f"{agent_type.name}/{key}"
        self.state = agent_type.behavior.initial()
        self.revision = 0
        self.steps: list[Step] = []

    def do(self, command: Any, sender: str = "client") -> Step:
        """Decide a command; a handler that raises is a failed test."""
        behavior = self.type.behavior
        handler = behavior.commands[MessageType(type(command)).name]
        _, settled = handler.message.settle(command, "json")
        context = Context(
            self_id=self.id,
            revision=self.revision,
            now_us=1_700_000_000_000_000 + self.revision,
            command_id=f"c-{self.revision}",
            sender=sender,
            correlation_id="c",
        )
        decision = behavior.decide(self.state, handler, settled, context, "json")
        assert decision.outcome != "parked", f"{decision.reason}\n{decision.stack}"
        self.state = decision.state
        self.revision += 1
        step = Step(
            decision.outcome,
            decision.reason,
            [
                behavior.events[event.name].message.decode(bytes(event.body), event.version, "json")
                for event in decision.events
            ],
            [
                (
                    effect.kind,
                    effect.target,
                    effect.message.name if effect.message else "",
                    decode_plain(bytes(effect.message.body), "json") if effect.message else None,
                )
                for effect in decision.effects
            ],
            None if decision.reply is None else decode_plain(bytes(decision.reply), "json"),
        )
        self.steps.append(step)
        return step

    def ask(self, query: Any) -> Any:
        """The answer to a query, as plain data."""
        handler = self.type.queries[MessageType(type(query)).name]
        return msgspec.to_builtins(handler.function(self.state, query))

    def events(self, cls: type[Any]) -> list[Any]:
        """All events of a class so far."""
        return [event for step in self.steps for event in step.of(cls)]
