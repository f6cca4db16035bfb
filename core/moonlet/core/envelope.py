"""What a mailbox holds: one command on its way to one agent."""

import msgspec

from moonlet.core.ids import Lane


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A command with everything its commit will need to know about it.

    `number` counts a sender's commands to this agent in this lane (0: none, known by `id`).
    `deadline` is in microseconds since 1970 (0: none) and is judged when the command is decided.
    `reply` is the inbox for the outcome. `timer` is the name of the timer that fired (`number`
    is then the revision that set it), `call` the id of the call whose result this is. The body
    stays encoded, in the encoding of the envelope.
    """

    id: str
    agent: str
    name: str
    body: msgspec.Raw
    version: int = 1
    lane: Lane = "medium"
    sender: str = ""
    number: int = 0
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""
    deadline: int = 0
    reply: str = ""
    timer: str = ""
    call: str = ""
