"""What a run did, as one digest: each step, each moment, each task's name, each event's bytes.

The digest runs on: about every 256 steps it is noted as a `Checkpoint`, so that a replay stops
at the first block that differs (madsim compares at each draw).
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import msgspec

from moonlet.simulations.errors import Diverged

BLOCK_STEPS = 256
EVENTS_KEPT = 1_000_000
STEPS_KEPT = 4_000_000
DIGEST_BYTES = 16

Field: TypeAlias = str | int | bytes | None
Event: TypeAlias = tuple[int, int, str, str, tuple[Field, ...]]  # step, ns, node, kind, fields


class Checkpoint(NamedTuple):
    """The digest of all before step number `steps` (the events and names up to it counted)."""

    steps: int
    digest: bytes


class Trace:
    """The trace of one run, in the making.

    `expected` are the checkpoints of an earlier run: the first that differs raises `Diverged`.
    `keep` keeps the steps, (ns, who) after (ns, who), in `kept` and the tasks' names in `names`:
    up to four million, for the search after a difference. Who is a task's number, 0 the driver,
    -n the life n of a node. Events beyond a million are in the digest but not in `events`.
    """

    def __init__(self, *, expected: Sequence[Checkpoint] = (), keep: bool = False) -> None:
        self.steps = array("q")  # (ns, who) of each step since the last checkpoint
        self.events: list[Event] = []
        self.events_dropped = 0
        self.checkpoints: list[Checkpoint] = []
        self.kept = array("q")
        self.names: dict[int, str] = {}
        self._expected = expected
        self._keep = keep
        self._before = 0
        self._ended = False
        self._new_names: list[str] = []
        self._new_events: list[bytes] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._hash = blake2b(digest_size=DIGEST_BYTES)

    @property
    def count(self) -> int:
        """Steps so far."""
        return self._before + len(self.steps) // 2

    @property
    def digest(self) -> str:
        """The digest of everything so far, in hexadecimal."""
        self.checkpoint()
        return self._hash.hexdigest()

    def digest_now(self, more: bytes) -> str:
        """As `digest`, with `more` in it, and without a checkpoint: the trace stays as it is."""
        digest = self._hash.copy()
        self._take(digest)
        digest.update(more)
        return digest.hexdigest()

    def name(self, number: int, name: str) -> None:
        """A task was created."""
        self._new_names.append(f"{number} {name}")
        if self._keep:
            self.names[number] = name

    def event(self, at_ns: int, node: str, kind: str, *fields: Field) -> None:
        """Something worth reading happened. Payload bytes and state digests belong in `fields`."""
        if self._ended:
            return
        event = (self.count, at_ns, node, kind, fields)
        self._new_events.append(self._encode(event))
        if len(self.events) < EVENTS_KEPT:
            self.events.append(event)
        else:
            self.events_dropped += 1

    def forget_step(self) -> None:
        """The step that is on does nothing: it is none."""
        del self.steps[-2:]

    def end(self) -> None:
        """Close it: the last words of coroutines that are given up are no part of the run."""
        self._ended = True

    def checkpoint(self) -> None:
        """Take what came since the last checkpoint into the digest; compare it if expected."""
        steps, names, events = self.steps, self._new_names, self._new_events
        if not (steps or names or events):
            return
        self._take(self._hash)
        if self._keep and len(self.kept) < 2 * STEPS_KEPT:
            self.kept += steps
        self._before += len(steps) // 2
        del steps[:]
        names.clear()
        events.clear()
        done = Checkpoint(self._before, self._hash.digest())
        index = len(self.checkpoints)
        self.checkpoints.append(done)
        if index < len(self._expected) and self._expected[index] != done:
            start = self._expected[index - 1].steps if index else 0
            raise Diverged(start, f"The block up to step {done.steps:,} has another digest.")

    def _take(self, digest: blake2b) -> None:
        """Add what came since the last checkpoint."""
        steps, names, events = self.steps, self._new_names, self._new_events
        if steps or names or events:
            digest.update(b"%d %d %d\n" % (len(steps), len(names), len(events)))
            digest.update(steps)
            digest.update("\n".join(names).encode())
            digest.update(b"".join(events))
