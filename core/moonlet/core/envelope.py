"""What a mailbox holds: one command on its way to one agent."""

from typing import Annotated

import msgspec

from moonlet.core.ids import Lane

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A command with everything its commit will need to know about it.

    `number` counts a sender's commands to this agent in this lane (0: none, known by `id`; it is
    0 without a sender, since it would say nothing).
    `deadline` is in microseconds since 1970 (0: none) and is judged when the command is decided.
    `reply` is the inbox for the outcome. `timer` is the name of the timer that fired (`number`
    is then the revision that set it), `call` the id of the call whose result this is. The body
    stays encoded, in the encoding of the envelope.
    """

    id: str
    agent: str
    name: str
    body: msgspec.Raw
    version: Version = 1
    lane: Lane = "medium"
    sender: str = ""
    number: Count = 0
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""
    deadline: Count = 0
    reply: str = ""
    timer: str = ""
    call: str = ""
