"""The agent type that `moonlet bench` measures: it adds up."""

import msgspec

from moonlet.agents import AgentType, Decision, Reply


class Add(msgspec.Struct, frozen=True):
    """Add an amount."""

    amount: int


class Added(msgspec.Struct, frozen=True):
    """It was added."""

    amount: int


class Total(msgspec.Struct, frozen=True):
    """What was added so far."""

    amount: int = 0


counter = AgentType("bench-counter", Total)


@counter.on_command
def add(state: Total, command: Add) -> Decision:
    """Always accepted; replies the new total."""
    yield Added(command.amount)
    yield Reply(state.amount + command.amount)


@counter.on_event
def added(state: Total, event: Added) -> Total:
    """Adds up."""
    return Total(state.amount + event.amount)
