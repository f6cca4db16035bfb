"""Names that may enter a subject, checked first: the server would store `a.*` literally."""

import re
from functools import lru_cache
from typing import Final, Literal, get_args

import msgspec

from moonlet.core.errors import InvalidId

Lane = Literal["critical", "high", "medium", "low"]
LANES: Final[tuple[Lane, ...]] = get_args(Lane)

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,128}(\.[A-Za-z0-9_-]{1,128}){0,7}")
_COMMAND_ID: Final = re.compile(r"[\x21-\x7e]{1,400}")


class AgentId(msgspec.Struct, frozen=True, order=True, gc=False):
    """`type/key`: the address of one agent. What came through `parse` has both parts checked."""

    type: str
    key: str

    @classmethod
    def parse(cls, text: "str | AgentId") -> "AgentId":
        """Read `type/key`; raises `InvalidId` that names the part at fault."""
        if isinstance(text, AgentId):
            check_name(text.type, "agent type")
            check_name(text.key, "agent key")
            return text
        if not isinstance(text, str):
            raise InvalidId(f"agent id {_show(text)}: write it as type/key, like account/alice")
        return _parse(text)

    def __str__(self) -> str:
        return f"{self.type}/{self.key}"


@lru_cache(maxsize=65_536)
def _parse(text: str) -> AgentId:
    type_, slash, key = text.partition("/")
    if not slash:
        raise InvalidId(f"agent id {_show(text)}: write it as type/key, like account/alice")
    return AgentId(check_name(type_, "agent type"), check_name(key, "agent key"))


def check_name(name: str, what: str) -> str:
    """Return `name` if it is 1 to 128 of A-Z a-z 0-9 _ -; `what` names it in the error."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidId(
            f"{what} {_show(name)}: use 1 to 128 of the characters A-Z a-z 0-9 _ and - only"
        )
    return name


def check_topic(topic: str) -> str:
    """Return `topic` if it is one to eight names joined by dots."""
    if not isinstance(topic, str) or _TOPIC.fullmatch(topic) is None:
        raise InvalidId(
            f"topic {_show(topic)}: use one to eight names of A-Z a-z 0-9 _ - joined by dots"
        )
    return topic


def check_topics(topics: str) -> str:
    """Return `topics` if it is a topic, in which `*` may stand for a name, a last `>` for the rest.

    At most eight parts, `>` counted.
    """
    parts = topics.split(".") if isinstance(topics, str) else []
    named = [part for part in parts if part != "*"]
    if named and named[-1] == ">" and parts[-1] == ">":
        named.pop()
    if not 1 <= len(parts) <= 8 or any(_NAME.fullmatch(part) is None for part in named):
        raise InvalidId(
            f"topics {_show(topics)}: use one to eight names of A-Z a-z 0-9 _ - joined by dots;"
            " * stands for any one name, > at the end for one or more"
        )
    return topics


def check_command_id(id: str) -> str:
    """Return `id` if it is 1 to 400 visible ASCII characters."""
    if not isinstance(id, str) or _COMMAND_ID.fullmatch(id) is None:
        raise InvalidId(
            f"command id {_show(id)}: use 1 to 400 visible ASCII characters without spaces"
        )
    return id


def check_lane(lane: str) -> Lane:
    """Return `lane` if it is one of the four."""
    if lane not in LANES:
        raise InvalidId(f"lane {_show(lane)}: choose one of {', '.join(LANES)}")
    return lane


@lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """The partition of an agent's key: FNV-1a 32 of its bytes, modulo `partitions`.

    Equal to the server's `{{partition(n, 1)}}` subject transform.
    """
    value = 2_166_136_261
    for byte in key.encode():
        value = ((value ^ byte) * 16_777_619) & 0xFFFFFFFF
    return value % partitions


def _show(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
