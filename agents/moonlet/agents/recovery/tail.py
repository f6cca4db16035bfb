"""One agent's tail: what its journal holds behind its snapshot, folded as it comes.

The end was read from the leader, and what is read goes up to it, whatever replica it comes from: so
absence is never concluded from one that lags.
"""

from typing import Any, Final, NamedTuple

from moonlet.agents.deciding import Running, WorkNote, fold_state
from moonlet.agents.definition import AgentType
from moonlet.agents.services import HostServices
from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.streams import EXPECTED_LAST, Skips, StoredMessage, decode_commit, skips_behind

Redo = list[tuple[Commit[Any], Encoding]]
"""Commits whose effects may not be out, in order."""

EXPECTED_OF: Final = f"{EXPECTED_LAST}-Subject"
"""Names the subject of which a sequence was expected, where that is not the message's own."""

PRUNE_AT: Final = 64
"""Commits with effects after which those are forgotten that are known to be out."""


class Recovered(NamedTuple):
    """A fold, the commits to dispatch again, and what is known of the snapshot behind it.

    `tail_bytes` are those of the commits after the snapshot, `commits` how many these were,
    `seconds` how long folding them took, and `gone_over` how many of the journal's messages the
    server went over for them.
    """

    fold: Fold[Any]
    redo: Redo
    snapshot_revision: int = 0
    snapshot_bytes: int = 0
    tail_bytes: int = 0
    commits: int = 0
    seconds: float = 0.0
    gone_over: int = 0


def before(message: StoredMessage) -> int | None:
    """The sequence of the commit before this one as the message tells, 0 if there is none.

    Of what was stored in one batch only an agent's first tells, and the rest stand side by side.
    A hint: who wrote it is not known. None if it makes no sense.
    """
    headers = message.headers or {}
    told = headers.get(EXPECTED_LAST)
    if told is None:
        return message.sequence - 1
    if EXPECTED_OF in headers or len(told) > 19 or not (told.isascii() and told.isdigit()):
        return None
    return int(told)


class Tail:
    """The commits of one agent up to `last`, and the fold of those before sequence `start`.

    `snapshot_revision` and `snapshot_bytes` are of the snapshot that the fold came from, `seconds`
    is how long folding the `commits` behind it took, `gone_over` as in `Recovered`. One
    that is `alone` is not read with others, one that is not `walkable` not by walking back.
    """

    __slots__ = (
        "_decoded",
        "_redo",
        "agent",
        "agent_type",
        "alone",
        "commits",
        "fold",
        "gone_over",
        "last",
        "running",
        "seconds",
        "skips",
        "snapshot_bytes",
        "snapshot_revision",
        "start",
        "stream",
        "tail_bytes",
        "walkable",
    )

    def __init__(
        self,
        agent_type: AgentType[Any],
        agent: AgentId,
        stream: str,
        fold: Fold[Any],
        last: StoredMessage,
        snapshot_bytes: int = 0,
        *,
        running: Running | None = None,
    ) -> None:
        self.agent_type = agent_type
        self.agent = agent
        self.stream = stream
        self.fold = fold
        self.start = fold.sequence + 1
        self.last = last
        self.snapshot_revision = fold.revision
        self.snapshot_bytes = snapshot_bytes
        self.alone = False
        self.walkable = True
        self.skips: Skips = {}
        self.running = running or Running()
        self.tail_bytes = 0
        self.seconds = 0.0
        self.gone_over = 0
        self.commits = 0
        self._redo: Redo = []
        self._decoded: tuple[Commit[Any], Encoding] | None = None

    def noted(self) -> WorkNote:
        """What is folded now, for whoever watches the loop."""
        return WorkNote("fold", str(self.agent), f"behind revision {self.fold.revision}")

    async def learn_skips(self, services: HostServices) -> None:
        """Have left out what the agent's last repair says. Raises as `is_read`."""
        _ = self.missing
        assert self._decoded is not None
        last = self._decoded[0]
        if last.repaired or last.repair is not None:
            journal = services.journal(self.stream)
            self.skips = await skips_behind(journal, self.last)

    def is_read(self) -> bool:
        """Whether all that is missing is at hand: nothing, or the last commit.

        The last one's word for its revision is not enough, since anybody may have written it: but
        the server let it in only behind the sequence that it expected.
        Raises `Undecodable`, `Corrupt` if that can't be read.
        """
        if self.start > self.last.sequence:
            return True
        follows = (self.last.headers or {}).get(EXPECTED_LAST) == str(self.fold.sequence)
        return follows and self.missing <= 1

    def is_followed_by_last(self) -> bool:
        """Whether the last commit goes on where the fold is. Raises as `is_read`."""
        if self.missing != 1 or before(self.last) != self.fold.sequence:
            return False
        assert self._decoded is not None
        return self._decoded[0].previous_digest == self.fold.digest

    def passed(self, sequence: int) -> None:
        """All of its messages up to there were offered to `take`."""
        self.start = max(self.start, sequence + 1)

    @property
    def missing(self) -> int:
        """How many commits are to be folded yet, says the last. Raises as `is_read`."""
        if self._decoded is None:
            self._decoded = decode_commit(self.stream, self.last)
        return self._decoded[0].revision - self.fold.revision

    @property
    def span(self) -> int:
        """Over how many of the journal's messages the rest of it may be spread."""
        return max(0, self.last.sequence + 1 - self.start)

    def take(self, message: StoredMessage) -> None:
        """Fold one of its messages, offered in order. Raises `Undecodable`, `Corrupt`.

        What was folded already is passed over, and the last: the leader's own copy is at hand.
        """
        if self.fold.sequence < message.sequence < self.last.sequence:
            skip = self.skips.get(message.sequence)
            if skip is not None and skip.what == "record":
                reached("a record is left out, as a repair says")
                self.fold.skip(skip)
            else:
                self._fold(message, *decode_commit(self.stream, message))
            self.start = message.sequence + 1

    def _fold(self, message: StoredMessage, commit: Commit[Any], encoding: Encoding) -> None:
        stream, fold, running = self.stream, self.fold, self.running
        running.work = self
        try:
            state = fold.state
            if commit.sequence not in self.skips:
                state = fold_state(self.agent_type, stream, state, commit, encoding)
            fold.advance(commit, state)
        except Corrupt as error:
            error.stream = stream
            raise
        finally:
            running.work = None
        self.tail_bytes += len(message.data)
        self.commits += 1
        if commit.effects or commit.outcome == "parked":
            redo = self._redo
            redo.append((commit, encoding))
            if len(redo) % PRUNE_AT == 0:
                self._prune()

    def _prune(self) -> None:
        out = self.fold.dispatched
        self._redo = [job for job in self._redo if job[0].revision > out]

    def finish(self) -> Recovered:
        """What is known once all before the last commit was offered to `take`.

        Raises `Undecodable`, `Corrupt`.
        """
        if self.fold.sequence < self.last.sequence:
            if self._decoded is None:
                self._decoded = decode_commit(self.stream, self.last)
            self._fold(self.last, *self._decoded)
        self._prune()
        return Recovered(
            self.fold,
            self._redo,
            self.snapshot_revision,
            self.snapshot_bytes,
            self.tail_bytes,
            self.commits,
            self.seconds,
            self.gone_over,
        )
