"""The version of what clients, agents and owners say to each other, and who may still talk.

A message without the header is of version 1.0. A newer minor version only adds what may be left
out, so it is accepted; another major one is refused, by whoever would have to understand it.
"""

import re
from typing import Final

from moonlet.core.errors import InvalidMessage

PROTOCOL: Final = (1, 0)
"""Major and minor, as in docs/protocol.md."""

PROTOCOL_HEADER: Final = "Moonlet-Protocol"

_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)


def check_protocol(header: str | None) -> None:
    """Raise `InvalidMessage` for the header of a message that can't be understood here."""
    if header is None:
        return
    ours = ".".join(map(str, PROTOCOL))
    found = _VERSION.fullmatch(header)
    if found is None:
        raise InvalidMessage(
            f"{PROTOCOL_HEADER} is {header[:40]!a}: it is two numbers, as {ours}",
            path=PROTOCOL_HEADER,
        )
    major = int(found[1])
    if major == PROTOCOL[0]:
        return
    older, newer = ("sender", "reader") if major < PROTOCOL[0] else ("reader", "sender")
    raise InvalidMessage(
        f"the message is of protocol {header}, and {ours} is understood here: upgrade Moonlet"
        f" where the {older} of it runs, or have the {newer} speak {min(major, PROTOCOL[0])}.x",
        path=PROTOCOL_HEADER,
    )


def misunderstood(header: str) -> InvalidMessage | None:
    """Why a message with this header is not to be acted on, however well it reads."""
    try:
        check_protocol(header)
    except InvalidMessage as error:
        return error
    return None
