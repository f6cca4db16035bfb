"""What else may come of a delivery than a commit."""

from enum import IntEnum

import msgspec

from moonlet.core.memory import Key


class Verdict(IntEnum):
    """The verdicts; what they ask for is their caller's to do."""

    DONE = 1
    """An earlier commit dealt with it; nobody waits for an answer (a firing, a result)."""

    ANSWER_AGAIN = 2
    """An earlier commit dealt with it: its sender is answered as then."""

    CONFLICT = 3
    """An earlier commit dealt with another command of this id."""

    WAIT = 4
    """Only the fold after the chain can say: it is decided when that has landed."""

    FOREIGN = 6
    """It says that it is the firing of an open timer, which was set to fire something else."""

    LEFT = 7
    """Newer code is to have it, or may be: it stays as it is, and what came after it waits."""

    READ_AGAIN = 5
    """A commit that the fold doesn't have caused it, so what the fold lacks says nothing."""


class LookUp(msgspec.Struct, frozen=True):
    """What has to be looked up in the stored runs of the agent's past, before more is decided."""

    keys: tuple[Key, ...]
