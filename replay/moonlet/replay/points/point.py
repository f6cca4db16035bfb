"""A point in an agent's history, and the texts that name one."""

import re
from typing import Final, Literal

import msgspec

from moonlet.core.errors import Invalid, InvalidId
from moonlet.core.ids import AgentId, check_command_id
from moonlet.replay.points.moments import TimeText, parse_moment

TEXT_MAX: Final = 1_024
"""Characters of a point as it is written."""

_REVISION: Final = re.compile(r"(\d{1,18})(?:\.\d{1,6})?")
_PLACE: Final = re.compile(r"([A-Za-z0-9_-]{1,255}):(\d{1,18})(?:\.\d{1,6})?")


class Point(msgspec.Struct, frozen=True, order=True):
    """After `revision` of `agent`; 0 is before its first commit."""

    agent: AgentId
    revision: int

    def __str__(self) -> str:
        return f"{self.agent}@{self.revision}"


class PointText(msgspec.Struct, frozen=True):
    """What a text says, before anything is looked up. Which fields are set depends on `kind`.

    revision: agent, revision. last: agent. time: agent, moment. place: stream, sequence.
    id: a command's id.
    """

    kind: Literal["revision", "last", "time", "place", "id"]
    text: str
    agent: AgentId | None = None
    revision: int = 0
    moment: TimeText | None = None
    stream: str = ""
    sequence: int = 0
    id: str = ""


def parse_point(text: str) -> PointText:
    """Read `AGENT@REVISION`, `AGENT@TIME`, `AGENT`, `STREAM:SEQUENCE`, or a command's id.

    `AGENT@17.2` and `STREAM:17.2`, the second event of a commit, are the commit's point. Raises
    `Invalid` for what is none of them.
    """
    if not text or len(text) > TEXT_MAX:
        raise Invalid(f"a point has 1 to {TEXT_MAX} characters, this one {len(text)}")
    name, at, where = text.rpartition("@")
    if at and (agent := _agent(name)) is not None:
        revision = _REVISION.fullmatch(where)
        if revision is not None:
            return PointText("revision", text, agent, int(revision[1]))
        if where == "last":
            return PointText("last", text, agent)
        try:
            return PointText("time", text, agent, moment=parse_moment(where))
        except Invalid:
            raise Invalid(
                f"{text!r}: behind the @ stands a revision like 17, `last`, or a time like 08:45"
                " or 2026-03-11T08:45:00"
            ) from None
    if (agent := _agent(text)) is not None:
        return PointText("last", text, agent)
    place = _PLACE.fullmatch(text)
    if place is not None:
        return PointText("place", text, stream=place[1], sequence=int(place[2]))
    try:
        return PointText("id", text, id=check_command_id(text))
    except InvalidId:
        raise Invalid(
            f"{text!r} is no point: write AGENT@REVISION like account/alice@17, AGENT@TIME,"
            " STREAM:SEQUENCE, or the id of a command"
        ) from None


def _agent(text: str) -> AgentId | None:
    try:
        return AgentId.parse(text)
    except InvalidId:
        return None
