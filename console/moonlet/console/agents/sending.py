"""`tell`, `ask` and `query`: one message to one agent, its body as JSON."""

import sys
from typing import Annotated, Any

import typer

from moonlet.agents import AgentType, Plain
from moonlet.console.common import Found, Modules, Options, command, find, opened, pretty
from moonlet.core.errors import InvalidMessage
from moonlet.core.ids import AgentId, check_lane, check_name
from moonlet.core.schema import decode_plain

Agent = Annotated[str, typer.Argument(help="type/key, like account/alice", metavar="AGENT")]
Name = Annotated[str, typer.Argument(help="The message's schema name.", metavar="NAME")]
Body = Annotated[
    str, typer.Argument(help="The message's fields; '-' reads them from stdin.", metavar="JSON")
]
Timeout = Annotated[float, typer.Option(help="Seconds to wait.", min=0.001, max=86_400)]
Lane = Annotated[str, typer.Option(help="critical, high, medium or low.")]
Id = Annotated[str | None, typer.Option("--id", help="Your own id: sending it again is harmless.")]


@command
async def tell(
    options: Options,
    agent: Agent,
    name: Name,
    body: Body = "{}",
    lane: Lane = "medium",
    id: Id = None,
    timeout: Timeout = 5.0,
    module: Modules = None,
) -> None:
    """Store a command in an agent's mailbox, and print its id. Its host decides it later."""
    types, message = _read(agent, name, body, module, query=False)
    async with opened(options, types.values()) as session:
        receipt = await session.moon.tell(
            agent, message, id=id, lane=check_lane(lane), timeout=timeout
        )
    record = {"id": receipt.id, "agent": agent, "name": name, "lane": lane}
    options.output.result(record, f"stored {receipt.id} for {agent}")


@command
async def ask(
    options: Options,
    agent: Agent,
    name: Name,
    body: Body = "{}",
    lane: Lane = "medium",
    id: Id = None,
    timeout: Timeout = 5.0,
    module: Modules = None,
) -> None:
    """Send a command, wait until it is decided, and print the agent's reply."""
    types, message = _read(agent, name, body, module, query=False)
    async with opened(options, types.values()) as session:
        reply = await session.moon.ask(
            agent, message, id=id, lane=check_lane(lane), timeout=timeout
        )
    options.output.result({"agent": agent, "reply": reply}, pretty(reply))


@command
async def query(
    options: Options,
    agent: Agent,
    name: Name,
    body: Body = "{}",
    timeout: Timeout = 5.0,
    module: Modules = None,
) -> None:
    """Ask an agent's owner about its state, and print the answer. Changes nothing."""
    types, message = _read(agent, name, body, module, query=True)
    async with opened(options, types.values()) as session:
        reply = await session.moon.query(agent, message, timeout=timeout)
    options.output.result({"agent": agent, "reply": reply}, pretty(reply))


def _read(
    agent: str, name: str, body: str, module: list[str] | None, *, query: bool
) -> tuple[Found, Plain]:
    """The agent types known here, and the message, checked as far as it can be without a host."""
    target = AgentId.parse(agent)
    check_name(name, "message name")
    data = sys.stdin.buffer.read() if body == "-" else body.encode(errors="surrogateescape")
    try:
        fields = decode_plain(data, "json")
    except InvalidMessage as error:
        raise InvalidMessage(
            f"{name}: what was given is no JSON that can be sent: {error};"
            " write it like '{\"amount\": 5}'",
            path=error.path,
        ) from None
    types = find(module)
    return types, Plain(name, fields, _version(types.get(target.type), name, query))


def _version(agent_type: AgentType[Any] | None, name: str, query: bool) -> int:
    """The version that today's code gives the message: the fields were typed for that."""
    if agent_type is None:
        return 1
    handler = (agent_type.queries if query else agent_type.behavior.commands).get(name)
    return handler.message.version if handler is not None else 1
