"""What is found in code that must be pure, and what to do instead."""

from typing import Final, Literal

import msgspec

Kind = Literal["clock", "chance", "I/O", "global state", "in-place change", "hash order"]

REMEDIES: Final[dict[Kind, str]] = {
    "clock": "take context.now, the commit's time, or a time in the command; in an event handler"
    " what the event says",
    "chance": "take context.random or context.uuid(); in an event handler what the event says",
    "I/O": "yield Perform(...) and do it in on_perform, or pass what was read in with the command",
    "global state": "keep it in the agent's state, by an event",
    "in-place change": "make a new one: msgspec.structs.replace, model_copy, {**old}, [*old, x]",
    "hash order": "it differs from process to process: take moonlet's digests or hashlib",
}


class Impurity(msgspec.Struct, frozen=True, order=True):
    """One thing at one line. `handler` is whose code comes there, `via` the helper it stands in."""

    file: str
    line: int
    kind: Kind
    what: str
    handler: str
    via: str = ""

    @property
    def remedy(self) -> str:
        """What to do instead."""
        return REMEDIES[self.kind]
