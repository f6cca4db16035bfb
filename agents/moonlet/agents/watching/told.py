"""What a host says to who watches, in parts that fit a message."""

from typing import Annotated, Final

import msgspec

PART_MAX: Final = 262_144
"""Bytes of a part, or what the server takes if that is less."""

PARTS_MAX: Final = 1_000
"""Parts of one answer; what is beyond is left out, and the answer says so."""

ASKED_MAX: Final = 65_536
"""Bytes of a question."""


class ToldPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of an answer: `items` are what was asked for, plain; the `last` part says so.

    `refused` says why there is none; `troubles` what could not be looked at, or was left out.
    """

    host: str
    part: Annotated[int, msgspec.Meta(ge=0, le=PARTS_MAX)] = 0
    last: bool = False
    items: list[msgspec.Raw] = []
    refused: str = ""
    troubles: list[str] = []


encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(ToldPart).decode
