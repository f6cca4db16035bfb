"""An assistant that asks a language model, and a person before it does what the model wants.

The model is called by `on_perform`, outside of the decision: its answer is recorded as a command,
so a replay reads it and never calls the model again. What costs money waits for an approval.
The model here is a fake; another is put in its place by another body of `ask_model`.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct
from msgspec.structs import replace

from moonlet.agents import AgentType, Decision, Host, Perform, Rejected, connect

CALLS: list[str] = []  # what the model was asked; only to show that a replay asks nothing


class Message(Struct, frozen=True):
    text: str


class AskModel(Struct, frozen=True):
    talk: tuple[str, ...]


class ModelAnswered(Struct, frozen=True):
    text: str
    refund: int = 0


class Approve(Struct, frozen=True):
    by: str


class Refund(Struct, frozen=True):
    amount: int


class Refunded(Struct, frozen=True):
    amount: int


class Said(Struct, frozen=True):
    line: str


class RefundProposed(Struct, frozen=True):
    amount: int


class RefundApproved(Struct, frozen=True):
    by: str


class Talk(Struct, frozen=True):
    lines: tuple[str, ...] = ()
    proposed: int = 0


assistant = AgentType("assistant", Talk)


@assistant.on_command
def message(state: Talk, command: Message) -> Decision:
    line = f"customer: {command.text}"
    yield Said(line)
    yield Perform(AskModel((*state.lines, line)))


@assistant.on_perform
async def ask_model(call: AskModel) -> ModelAnswered:
    """Stands for a request to a model; it may fail, or run twice, and the agent copes."""
    CALLS.append(call.talk[-1])
    if "broken" in call.talk[-1]:
        return ModelAnswered("I am sorry. You should get 40 back.", refund=40)
    return ModelAnswered("You are welcome.")


@assistant.on_command
def model_answered(state: Talk, command: ModelAnswered) -> Decision:
    yield Said(f"model: {command.text}")
    if command.refund:
        yield RefundProposed(command.refund)


@assistant.on_command
def approve(state: Talk, command: Approve) -> Decision:
    if not state.proposed:
        raise Rejected("there is nothing to approve")
    yield RefundApproved(command.by)
    yield Perform(Refund(state.proposed))


@assistant.on_perform
async def refund(call: Refund, call_id: str) -> Refunded:
    """Stands for a payment; `call_id` is equal at every attempt, so that it is made once."""
    return Refunded(call.amount)


@assistant.on_command
def refunded(state: Talk, command: Refunded) -> Decision:
    yield Said(f"assistant: {command.amount} are on their way")


@assistant.on_event
def said(state: Talk, event: Said) -> Talk:
    return replace(state, lines=(*state.lines, event.line))


@assistant.on_event
def refund_proposed(state: Talk, event: RefundProposed) -> Talk:
    return replace(state, proposed=event.amount)


@assistant.on_event
def refund_approved(state: Talk, event: RefundApproved) -> Talk:
    return Talk((*state.lines, f"assistant: approved by {event.by}"))


async def main(folder: Path) -> None:
    """A complaint, an approval that comes too early, and one that comes in time."""
    name = "assistant/case-7"
    async with connect(folder=folder) as moon, Host(moon, [assistant]):
        try:
            await moon.ask(name, Approve("eve"))
        except Rejected as refusal:
            print("refused:", refusal)
        await moon.tell(name, Message("my lamp came broken"))
        async for commit in moon.history(name, to=5, follow=True):
            state = await moon.state(name, revision=commit.revision)
            print(f"{commit.revision} {commit.command.name}: {commit.outcome}")
            if state.proposed:
                await moon.ask(name, Approve("ann"))
        print("\n".join((await moon.state(name)).lines))
        print("the model was asked", len(CALLS), "time")


if __name__ == "__main__":
    with TemporaryDirectory() as data:
        asyncio.run(main(Path(data)))
