"""What a live agent asks of its partition's owner."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from moonlet.agents.deciding import LookUp, PendingCommit, Rules, Verdict
from moonlet.agents.effects import Outbox
from moonlet.core.envelope import Envelope
from moonlet.core.errors import LimitExceeded, MoonletError
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId

A = TypeVar("A", contravariant=True)

Landed = Callable[["list[int] | MoonletError"], None]


class Owner(Protocol[A]):
    """What a live agent asks of its partition's owner. None of it raises or waits."""

    @property
    def rules(self) -> Rules:
        """By what its commands are decided."""

    @property
    def guarded(self) -> bool:
        """Whether commands are decided one at a time, by turns: see `line_up`."""

    @property
    def times(self) -> Callable[[], tuple[int, Timestamp]]:
        """Gives the wall clock in µs, and the time of a commit decided now."""

    def append(
        self, agent: A, expected: int, commits: Sequence[PendingCommit], landed: Landed
    ) -> None:
        """Append all or none after the agent's last sequence `expected`; call `landed` once."""

    def committed(self, agent: A, commits: Sequence[PendingCommit]) -> None:
        """They are stored, in order: note it, tell their senders, and who else asked."""

    def used(self, agent: A) -> None:
        """It was brought up to its journal."""

    def snapshot(self, agent: A) -> None:
        """Its revision is `snapshot_due`: see whether a snapshot is worth it."""

    def answer_again(self, envelope: Envelope, verdict: Verdict) -> None:
        """An earlier commit dealt with this: tell the sender, if it wants an answer."""

    def suspect(self, agent: A) -> None:
        """What is stored is not what it had: the journal may have gone back."""

    def read_journal(self, agent: A) -> "asyncio.Task[None]":
        """Read its journal: `take_up`, then `go_on`; `break_down` if it can't be read.

        Of one that is DOUBTING only the last commit: `go_on` if it is the fold's, else `reread`.
        """

    def look_up(self, agent: A, wanted: LookUp) -> None:
        """Fetch what its past says of these, have the fold `recall` it, then call `looked_up`."""

    def leave(self, agent: A) -> None:
        """Newer code is to have its next command, or may be: call `looked_up` after a while."""

    def read_back(self, agent: A) -> None:
        """Read the messages of its held commands, in order, and hand them to `take_back`."""

    def line_up(self, agent: A) -> None:
        """Have a command of it decided when its turn comes, by `decide_one`."""

    def wait_for_room(self, agent: A, error: LimitExceeded) -> None:
        """The journal is full: raise the alarm, and `unblock` it after a pause."""

    def outbox(self, agent: AgentId) -> Outbox:
        """A new, empty outbox."""
