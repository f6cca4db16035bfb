"""Consumers of topics: positions that the server keeps, of one subscriber or shared by several."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from moonlet.core.errors import Conflict, LimitExceeded
from moonlet.streams.api import ServerRefused, StreamGone
from moonlet.streams.bus import Bus
from moonlet.streams.codes import CONSUMER_NOT_FOUND, STREAM_NOT_FOUND, in_our_words
from moonlet.streams.reading.facts import stream_facts
from moonlet.streams.reading.terms import SECOND, ConsumerTerms

Start = int | datetime
"""Where a new position begins: at this sequence, or with the first message of that time on."""

LEFT: Final = 300.0
"""Seconds after which the server drops the position of a subscription that was not to last."""

PENDING_MAX: Final = 10_000
"""Messages of one position that may be handed out, to all who share it, and not acknowledged."""

INFO_SECONDS: Final = 5.0
"""Seconds that the server may take to tell about one consumer."""


class TopicPosition(msgspec.Struct, frozen=True):
    """What a subscription is read by; `missed` counts sequences that went while nobody read.

    How many of those were of its topics nobody can say any more.
    """

    terms: ConsumerTerms
    missed: int = 0


async def topic_position(
    bus: Bus, topics: str, name: str, *, start: Start | None, lasting: bool, again_after: float
) -> TopicPosition:
    """The position `name` of `topics` (checked, wildcards allowed); it goes on if it stands.

    A new one begins at `start`; None: after all that is stored now. Raises `Conflict` if a position
    of that name reads other topics, `StreamGone`, `Unavailable`.
    """
    stream = bus.topology.stream("topics")
    facts = await stream_facts(bus, stream)
    if facts is None:
        raise StreamGone(
            f"the stream {stream} isn't there: start a host, it makes it", stream=stream
        )
    subject = bus.subjects.topic(topics)
    info = await _info(bus, stream, name)
    if info is not None:
        config = {key: value for key, value in info["config"].items() if key != "metadata"}
        if config.get("filter_subject") != subject:
            raise Conflict(
                f"the subscription {name} reads {config.get('filter_subject')}, not {subject}: take"
                " another name, or forget that one first"
            )
        floor = int((info.get("ack_floor") or {}).get("stream_seq", 0))
        missed = max(0, facts.first - 1 - floor) if floor else 0
        return TopicPosition(ConsumerTerms(stream, config, owned=False), missed)
    config = {
        "name": name,
        "durable_name": name,
        "filter_subject": subject,
        "ack_policy": "explicit",
        "ack_wait": int(again_after * SECOND),
        "max_ack_pending": PENDING_MAX,
        "max_deliver": -1,
        **_begin(facts.last + 1 if start is None else start),
    }
    if not lasting:
        config["inactive_threshold"] = int(LEFT * SECOND)
    try:
        await bus._js.create_consumer(stream, config)
    except ServerRefused as error:
        told = in_our_words(error, f"the subscription {name}", stream)
        if isinstance(told, LimitExceeded):
            raise told from error
        info = await _info(bus, stream, name)
        if info is None or info["config"].get("filter_subject") != subject:
            raise told from error
        # Somebody else made it at the same moment: it is theirs, and ours.
        config = {key: value for key, value in info["config"].items() if key != "metadata"}
    return TopicPosition(ConsumerTerms(stream, config, owned=False))


async def forget_position(bus: Bus, name: str) -> bool:
    """Remove a position; False if there was none."""
    return await bus._js.delete_consumer(bus.topology.stream("topics"), name)


def _begin(start: Start) -> dict[str, Any]:
    if isinstance(start, datetime):
        moment = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"deliver_policy": "by_start_time", "opt_start_time": moment}
    if start <= 1:
        return {"deliver_policy": "all"}
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": start}


async def _info(bus: Bus, stream: str, name: str) -> dict[str, Any] | None:
    answer = await bus.request(f"$JS.API.CONSUMER.INFO.{stream}.{name}", b"", timeout=INFO_SECONDS)
    info: dict[str, Any] = msgspec.json.decode(answer.data)
    error = info.get("error")
    if error is None:
        return info
    if error.get("err_code") in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
        return None
    raise ServerRefused(error["code"], error["err_code"], error["description"])
