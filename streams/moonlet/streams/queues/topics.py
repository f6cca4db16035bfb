"""Messages to topics: whoever publishes there, it looks the same to who listens."""

from typing import Final

from moonlet.core.codec import ENCODING_HEADER, Encoding
from moonlet.streams.api import PubAck
from moonlet.streams.bus import Bus
from moonlet.streams.storing import store

TOPIC_ID: Final = "Moonlet-Id"
"""The header that tells a message from all others: one that is stored twice has it twice."""

TOPIC_SCHEMA: Final = "Moonlet-Schema"
"""The header with the message's schema, as `Name/1`; without a name, `/1`, it is plain data."""

TOPIC_AGENT: Final = "Moonlet-Agent"
"""The header that names the agent whose commit it comes from; none of a client's."""


async def store_in_topic(
    bus: Bus,
    topic: str,
    body: bytes,
    *,
    id: str,
    name: str,
    version: int,
    encoding: Encoding,
    agent: str = "",
    timeout: float,
) -> PubAck:
    """Store a message of a checked topic, once as far as the server knows its `id` (2 minutes)."""
    headers = {TOPIC_ID: id, TOPIC_SCHEMA: f"{name}/{version}"}
    if agent:
        headers[TOPIC_AGENT] = agent
    if encoding != "json":
        headers[ENCODING_HEADER] = encoding
    subject = bus.subjects.topic(topic)
    return await store(bus, subject, body, id=id, headers=headers, timeout=timeout)
