"""Consumers on our queues that are none of ours: they take commands that nobody will decide.

A work queue gives each message to one consumer, and lets no two have filters that overlap. So one
that another program made stands in the owner's way for good. It is named and removed.
"""

import re
from collections.abc import Collection
from typing import Any, Final

import msgspec

from moonlet.streams.bus import Bus
from moonlet.telemetry import get_logger

log = get_logger(__name__)

OURS: Final = re.compile(r".+-(?:(?:cmd|in)-(?:critical|high|medium|low)|fire)-r[0-9]+|calls-.+")
"""The names of owners' consumers, and of those of calls."""

INFO_SECONDS: Final = 5.0
"""Seconds that the server may take to tell about one consumer."""


async def remove_foreign(bus: Bus, stream: str, filters: Collection[str]) -> list[str]:
    """Delete the consumers of others that would take messages of `filters`; returns their names."""
    removed = []
    for name in await bus._js.consumer_names(stream):
        if OURS.fullmatch(name):
            continue
        theirs = await _filters(bus, stream, name)
        if not theirs or any(_overlap(ours, other) for ours in filters for other in theirs):
            log.error("a foreign consumer took commands: it is removed", stream=stream, name=name)
            await bus._js.delete_consumer(stream, name)
            removed.append(name)
    return removed


async def _filters(bus: Bus, stream: str, name: str) -> list[str]:
    subject = f"$JS.API.CONSUMER.INFO.{stream}.{name}"
    answer = await bus.request(subject, b"", timeout=INFO_SECONDS)
    config: dict[str, Any] = msgspec.json.decode(answer.data).get("config") or {}
    one = config.get("filter_subject")
    return list(config.get("filter_subjects") or ([one] if one else []))


def _overlap(one: str, other: str) -> bool:
    """Whether a subject may match both; `*` stands for a token, a last `>` for any."""
    ours, theirs = one.split("."), other.split(".")
    for mine, its in zip(ours, theirs, strict=False):
        if ">" in (mine, its):
            return True
        if mine != its and "*" not in (mine, its):
            return False
    return len(ours) == len(theirs)
