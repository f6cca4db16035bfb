"""What stands in the streams, as typed facts, and single messages of them."""

from typing import Any, Final

import msgspec

from moonlet.core.errors import Unavailable
from moonlet.core.marks import reached
from moonlet.streams.api import StoredMessage
from moonlet.streams.bus import Bus
from moonlet.streams.nats import decode_time

LOOKS_MAX: Final = 7
"""Looks at a stream's end, in some two seconds, after which an older one is believed."""


class StreamFacts(msgspec.Struct, frozen=True):
    """What the server says of one stream, as of its answer.

    `first` and `last` are sequences (of an empty stream `first` is `last` + 1, `last` the last one
    ever), `deleted` counts the sequences between them that are gone. `incarnation` tells the
    stream from another of its name: creation time, and epoch if an operator raised it. `created`
    and `time` (the server's clock) are in nanoseconds since 1970. `config` is the server's JSON.
    """

    name: str
    first: int
    last: int
    messages: int
    bytes: int
    deleted: int
    incarnation: str
    created: int
    time: int
    config: dict[str, Any]


async def stream_facts(bus: Bus, stream: str) -> StreamFacts | None:
    """The facts of a stream, None if there is none of this name."""
    info = await bus._js.stream_info(stream)
    if info is None:
        return None
    state, config = info["state"], info["config"]
    epoch = (config.get("metadata") or {}).get("moonlet.epoch", "0")
    created = _nanoseconds(info["created"])
    return StreamFacts(
        name=stream,
        first=int(state["first_seq"]),
        last=int(state["last_seq"]),
        messages=int(state["messages"]),
        bytes=int(state.get("bytes", 0)),
        deleted=int(state.get("num_deleted", 0)),
        incarnation=f"{info['created']}/{epoch}",
        created=created,
        time=_nanoseconds(info["ts"]) if "ts" in info else created,
        config=config,
    )


async def facts_up_to(bus: Bus, stream: str, sequence: int) -> StreamFacts | None:
    """The facts of a stream as of when it goes up to `sequence`; else, in the end, as they are.

    On a cluster a server that was replaced as the stream's leader, and doesn't know it yet, tells
    of an older end for a moment. So before a stream is said to have gone back it is asked again,
    for some two seconds.
    """
    attempt = 0
    while True:
        facts = await stream_facts(bus, stream)
        if facts is None or facts.last >= sequence or int(facts.config["num_replicas"]) == 1:
            return facts
        reached("a stream's end is older than what was seen of it")
        attempt += 1
        if attempt >= LOOKS_MAX:
            return facts
        await bus.backoff(attempt)


async def count_up_to(bus: Bus, stream: str, subject: str, sequence: int) -> tuple[int, int]:
    """How many messages the literal `subject` has, and the sequence that the stream goes up to.

    Both come in one answer, so the number is no older than that, whoever gives it. Asked again, as
    for `facts_up_to`, while that is before `sequence`.
    """
    attempt = 0
    while True:
        info = await bus._js.stream_info(stream, subjects=subject)
        if info is None:
            return 0, 0
        state = info["state"]
        last = int(state["last_seq"])
        if last < sequence and int(info["config"]["num_replicas"]) > 1:
            reached("a stream's end is older than what was seen of it")
            attempt += 1
            if attempt < LOOKS_MAX:
                await bus.backoff(attempt)
                continue
        return int((state.get("subjects") or {}).get(subject, 0)), last


def _nanoseconds(text: str) -> int:
    """A server's time, to the nanosecond: it is part of a journal's incarnation."""
    try:
        return decode_time(text)
    except (ValueError, IndexError):
        raise Unavailable(
            f"the server says {text!r} where a time belongs: is it a nats-server?"
        ) from None


async def stream_names(bus: Bus) -> list[str]:
    """The names of all streams that the user may see, sorted."""
    return await bus._js.stream_names()


async def subject_counts(bus: Bus, stream: str, filter: str = ">") -> dict[str, int]:
    """How many messages each subject under `filter` has, sorted by subject."""
    return await bus._js.stream_subjects(stream, filter)


async def stored_message(bus: Bus, stream: str, sequence: int) -> StoredMessage | None:
    """The message of this sequence, read from the stream's leader; None if there is none."""
    return await bus._js.message(stream, sequence)


async def last_message(bus: Bus, stream: str, subject: str) -> StoredMessage | None:
    """The subject's last message, read from the stream's leader; None if there is none."""
    return await bus._js.last_message(stream, subject)


async def next_message(bus: Bus, stream: str, subject: str, *, start: int) -> StoredMessage | None:
    """The first message of `subject` (wildcards allowed) from sequence `start` on, or None.

    Read from the stream's leader; also where no direct get is allowed, as in the queues.
    """
    return await bus._js.next_message(stream, subject, start=start)


async def read_page(
    bus: Bus, stream: str, subject: str, *, start: int, most: int
) -> list[StoredMessage]:
    """Up to `most` messages of `subject` (wildcards allowed) from sequence `start` on, in order.

    By direct get, which the stream must allow: any replica answers, so the end may be stale.
    """
    return (await bus._js.read_batch(stream, subject, start=start, batch=most))[0]


async def purge_subject(bus: Bus, stream: str, subject: str) -> int:
    """Remove the messages of `subject` (wildcards allowed); returns how many. Not of a journal."""
    return await bus._js.purge_stream(stream, subject)


async def server_facts(bus: Bus) -> dict[str, Any]:
    """The server's own facts: at least `version`, `jetstream`, `max_payload`, `rtt` (s)."""
    return await bus._js.server_info()
