"""An agent that keeps what it was told in order: each of its states tells how it came to be.

Jepsen's list-append: a list read once tells the order of all that was appended before.
"""

import msgspec

from moonlet.agents import AgentType, Context, Decision, Rejected, Reply, Send
from moonlet.projections import At, Fields, GSet, ORMap, View


class Append(msgspec.Struct, frozen=True):
    number: int


class AppendIf(msgspec.Struct, frozen=True):
    """Only if so many numbers are there."""

    length: int
    number: int


class Forward(msgspec.Struct, frozen=True):
    """Append it here, then there."""

    number: int
    to: str


class Appended(msgspec.Struct, frozen=True):
    number: int


class Read(msgspec.Struct, frozen=True):
    pass


class Numbers(msgspec.Struct, frozen=True):
    numbers: tuple[int, ...] = ()


def register_type(*, partitions: int = 2) -> AgentType[Numbers]:
    """A fresh type."""
    register = AgentType("register", Numbers, partitions=partitions)

    @register.on_command
    def append(state: Numbers, command: Append) -> Decision:
        yield Appended(command.number)
        yield Reply([*state.numbers, command.number])

    @register.on_command
    def append_if(state: Numbers, command: AppendIf) -> Decision:
        if len(state.numbers) != command.length:
            raise Rejected("there are others")
        yield Appended(command.number)
        yield Reply([*state.numbers, command.number])

    @register.on_command
    def forward(state: Numbers, command: Forward) -> Decision:
        yield Appended(command.number)
        yield Send(command.to, Append(command.number))
        yield Reply([*state.numbers, command.number])

    @register.on_event
    def appended(state: Numbers, event: Appended) -> Numbers:
        return Numbers((*state.numbers, event.number))

    @register.on_query
    def read(state: Numbers, query: Read, context: Context) -> list[int]:
        return list(state.numbers)

    return register


seen = View("seen", version=1, numbers=ORMap[GSet])
"""All numbers of each agent."""


@seen.on_event
def note(view: Fields, event: Appended, at: At) -> None:
    view.numbers[at.agent.key].add(str(event.number))
