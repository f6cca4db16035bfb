"""Storing what goes by an id: the server's word that it had it already is looked into.

The server knows an id for two minutes, whoever published under it: whoever may write to the stream
could take an agent's next id beforehand, and what the agent then sent would be taken for stored.
"""

from typing import Final

from moonlet.core.errors import MoonletError
from moonlet.core.marks import reached
from moonlet.streams.api import Headers, PubAck
from moonlet.streams.bus import Bus

MESSAGE_ID: Final = "Nats-Msg-Id"


async def store(
    bus: Bus, subject: str, data: bytes, *, id: str, headers: Headers | None = None, timeout: float
) -> PubAck:
    """Store a message, once as far as the server knows its `id`; raises what the server says."""
    known = {**(headers or {}), MESSAGE_ID: id}
    ack = await bus.publish(subject, data, headers=known, timeout=timeout)
    if not ack.duplicate or await is_stored(bus, ack, subject, data, timeout=timeout):
        return ack
    return await store_anyway(bus, subject, data, headers=headers, timeout=timeout)


async def is_stored(bus: Bus, ack: PubAck, subject: str, data: bytes, *, timeout: float) -> bool:
    """Whether this very message stands where the server says that it had it.

    Also False where nobody may look, and where it was taken out of a queue since.
    """
    try:
        found = await bus._js.message(ack.stream, ack.sequence, timeout=timeout)
    except MoonletError:
        return False
    return found is not None and found.subject == subject and found.data == data


async def store_anyway(
    bus: Bus, subject: str, data: bytes, *, headers: Headers | None, timeout: float
) -> PubAck:
    """Store it under no id: who gets it twice knows it by its own numbers and ids."""
    reached("what the server took for a duplicate is stored again")
    return await bus.publish(subject, data, headers=headers, timeout=timeout)
