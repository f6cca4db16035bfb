"""A client's messages to topics: tried under one id until they are stored, or time is up."""

import asyncio
from typing import Any, Final

import msgspec

from moonlet.core.errors import (
    Invalid,
    LimitExceeded,
    MoonletError,
    PayloadTooLarge,
    PermissionDenied,
    Unknown,
)
from moonlet.core.ids import check_command_id, check_topic
from moonlet.core.schema import MessageType, encode_plain, is_message_class
from moonlet.streams import Bus, Disconnected, NoResponders, ServerRefused, is_final, is_full
from moonlet.streams import store_in_topic as store

TRY: Final = 2.0
"""Seconds until one try's answer is taken for lost."""


class Published(msgspec.Struct, frozen=True):
    """A message that is stored: its id, and the sequence that it has among all topics' messages."""

    topic: str
    id: str
    sequence: int


class Tries:
    """What is known of a message that is not acknowledged yet."""

    maybe = False
    why: MoonletError | str = "no answer"


async def publish(bus: Bus, topic: str, message: Any, id: str | None, seconds: float) -> Published:
    """Store a message for whoever listens; see `Client.publish`."""
    check_topic(topic)
    id = f"p-{bus.entropy.token()}" if id is None else check_command_id(id)
    name, version, body = encode_message(bus, message)
    if len(body) > bus.command_limit:
        raise PayloadTooLarge(
            f"the message to {topic} takes {len(body)} bytes, over the limit of"
            f" {bus.command_limit}: store the data elsewhere and send a reference",
            limit=bus.command_limit,
            value=len(body),
        )
    until = asyncio.get_running_loop().time() + seconds
    tries = Tries()
    try:
        async with asyncio.timeout_at(until):
            sequence = await _until_stored(bus, topic, id, (name, version, body), tries)
            return Published(topic, id, sequence)
    except TimeoutError:
        pass
    raise Unknown(
        f"the message {id} to {topic} was not acknowledged within {seconds:g} s ({tries.why}):"
        " publish it again under its id, which stores it once if that is within two minutes",
        stored="maybe" if tries.maybe else "no",
        command_id=id,
    )


async def _until_stored(
    bus: Bus, topic: str, id: str, message: tuple[str, int, bytes], tries: Tries
) -> int:
    name, version, body = message
    attempt = 0
    while True:
        attempt += 1
        before, tries.maybe = tries.maybe, True  # while it is under way
        try:
            ack = await store(
                bus,
                topic,
                body,
                id=id,
                name=name,
                version=version,
                encoding=bus.encoding,
                timeout=TRY,
            )
            return ack.sequence
        except (Invalid, PermissionDenied, LimitExceeded):
            raise
        except ServerRefused as error:
            if is_full(error):
                raise LimitExceeded(
                    f"the topics are full ({error.description}): nothing was stored; make room on"
                    " the server, or publish less"
                ) from error
            if is_final(error):
                raise
            tries.why = error
        except MoonletError as error:
            tries.why = error
            if isinstance(error, Disconnected | NoResponders):
                tries.maybe = before
        await bus.backoff(attempt)


def encode_message(bus: Bus, message: Any) -> tuple[str, int, bytes]:
    """Name, version and body; plain data has no name. Raises `InvalidMessage`."""
    if is_message_class(type(message)):
        known = MessageType(type(message))
        return known.name, known.version, known.encode(message, bus.encoding)
    return "", 1, encode_plain(message, bus.encoding)
