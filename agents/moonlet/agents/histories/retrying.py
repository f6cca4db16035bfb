"""Trying a parked command again: as a new one that the old one caused."""

from typing import Any

import msgspec

from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.core.schema import encode_plain
from moonlet.streams import (
    Bus,
    Mailboxes,
    ParkedMessage,
    Registry,
    decode_plain_commit,
    drop_parked,
    stored_message,
    with_record,
)


async def parked_commit(bus: Bus, message: ParkedMessage) -> Commit[Any]:
    """The commit that a parked message speaks of; raises `Invalid` if it is gone."""
    parked = message.parked
    agent = AgentId.parse(parked.agent)
    stream = bus.topology.journal_of(agent.type)
    stored = await stored_message(bus, stream, parked.sequence)
    if stored is not None:
        commit = decode_plain_commit(stream, await with_record(bus, stream, stored))
        if (commit.agent, commit.revision) == (parked.agent, parked.revision):
            return commit
    raise Invalid(
        f"the commit of parked message {message.sequence}, {parked.agent}@{parked.revision}, is not"
        f" in {stream}: the journal is another; drop it"
    )


async def retry_parked(bus: Bus, message: ParkedMessage, *, timeout: float = 5.0) -> str:
    """Send what is parked once more, as a new command; returns its id. Then it is parked no more.

    Its id is made of the old one's and of the parked message's place: retried twice, it is applied
    once. Its cause is the old command. An effect's message goes to the agent that it was for, as
    sent by the agent whose effect it is.
    Raises `Invalid` for a call or a publication that could not be made, and as `tell` does: then it
    is parked still.
    """
    commit = await parked_commit(bus, message)
    command, effect = commit.command, message.parked.effect
    agent, name, version, body, lane = (
        commit.agent, command.name, command.version, command.body, command.lane,
    )  # fmt: skip
    if effect is not None:
        if effect.kind != "send" or effect.message is None:
            raise Invalid(
                f"parked message {message.sequence} is a {effect.kind} of {commit.agent}, which it"
                " alone can make again: send it the command that led to it, and drop this"
            )
        agent, lane = effect.target, effect.lane
        name, version, body = effect.message.name, effect.message.version, effect.message.body
    target = AgentId.parse(agent)
    envelope = Envelope(
        sender=commit.agent if effect is not None else "",
        id=f"retry:{message.sequence}:{message.parked.id}"[:400],
        agent=agent,
        name=name,
        body=msgspec.Raw(encode_plain(body, bus.encoding)),
        version=version,
        lane=lane,
        correlation_id=command.correlation_id or command.id,
        causation_id=command.id,
    )
    home = await Registry(bus).home(target.type)
    mailboxes = Mailboxes(bus)
    if effect is not None:  # as agents send: in a mailbox nobody is believed to be one
        await mailboxes.put_internal(target, envelope, home, bus.encoding, timeout=timeout)
    else:
        subject = bus.subjects.mailbox(target, lane, home)
        ack = await mailboxes.put(subject, envelope, timeout=timeout)
        if ack.duplicate:
            await mailboxes.settle(ack, subject, envelope, timeout=timeout)
    await drop_parked(bus, message.sequence)
    return envelope.id
