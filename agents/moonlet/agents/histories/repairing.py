"""Repairing an agent's history: what can't be read is left out, by a commit that says so.

Nothing is edited. The repair is the agent's next commit, appended behind what can't be read, and
names what every reader passes over from then on: recovery, histories, states, verification, views.
"""

import asyncio
from typing import Any, Final

import msgspec

from moonlet.agents.deciding import fold_message, initial_state
from moonlet.agents.definition import AgentType
from moonlet.core.commit import Command, Commit, Repair, Skip
from moonlet.core.errors import Conflict, Corrupt, Invalid, MoonletError, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.streams import (
    Bus,
    GroupCommit,
    Journal,
    Skips,
    StoredMessage,
    decode_plain_commit,
    encode_commit,
    skips_named,
)

MAX_SKIPS: Final = 1_000
"""What one agent's repairs leave out at most; more is no repair but a loss."""

MAX_WHY: Final = 300
"""Characters that are kept of why something can't be read."""


class RepairPlan(msgspec.Struct, frozen=True):
    """What a repair of `agent` would leave out, `new` of it now; `last` is its last message.

    `events` names the events whose folding failed, in order.
    """

    agent: str
    last: int
    skips: tuple[Skip, ...]
    new: tuple[Skip, ...]
    events: tuple[str, ...]
    revision: int
    digest: str
    time: Timestamp
    dispatched: int
    repaired: int


async def plan_repair(
    bus: Bus, agent: AgentId, agent_type: AgentType[Any] | None
) -> RepairPlan | None:
    """What stands in the way of reading the agent; None if nothing does.

    Without its code only records are judged. Raises `Invalid` for an agent without commits and for
    one that can't be repaired, `Unavailable`.
    """
    journal = Journal(bus, bus.topology.journal_of(agent.type))
    last = await journal.last(agent)
    if last is None:
        raise Invalid(f"{agent} has no commits: there is nothing to repair")
    messages: list[StoredMessage] = []
    async for batch in journal.messages(agent):
        messages += [message for message in batch if message.sequence <= last.sequence]
    known = await _known(journal, agent, messages)
    planning = _Planning(agent, journal.stream, agent_type, known)
    for number, message in enumerate(messages):
        planning.take(message)
        if number % 256 == 255:
            await asyncio.sleep(0)
    return planning.plan(last.sequence)


async def _known(journal: Journal, agent: AgentId, messages: list[StoredMessage]) -> Skips:
    """What is left out already: by the last commit that can be read."""
    for message in reversed(messages):
        try:
            commit = decode_plain_commit(journal.stream, message)
        except (Undecodable, Corrupt):
            continue
        if commit.agent == str(agent):
            return await skips_named(journal, commit)
    return {}


class _Planning:
    def __init__(
        self, agent: AgentId, stream: str, agent_type: AgentType[Any] | None, known: Skips
    ) -> None:
        self._agent = agent
        self._stream = stream
        self._type = agent_type
        self._fold: Fold[Any] = Fold(initial_state(agent_type) if agent_type else None)
        self._fold.past.keeps = False  # nothing is decided on it
        self._skips = dict(known)
        self._new: dict[int, Skip] = {}
        self._events: list[str] = []
        self._gap = 0  # records left out directly before, which may have been commits

    def take(self, message: StoredMessage) -> None:
        """Fold the next message, or have what is wrong with it left out."""
        while True:
            try:
                fold_message(self._type, self._stream, self._fold, message, self._skips)
                break
            except (Undecodable, Corrupt) as error:
                self._leave_out(message, error)
        if message.sequence not in self._skips:
            self._gap = 0

    def _leave_out(self, message: StoredMessage, error: MoonletError) -> None:
        if message.sequence in self._new:
            raise Invalid(f"{self._agent} can't be repaired: {error}") from error
        why = str(error)[:MAX_WHY]
        if isinstance(error, Undecodable) and error.type not in ("", "Commit"):
            self._note(Skip(message.sequence, "events", why=why))
            self._events.append(error.type)
            return
        if self._gap and isinstance(error, Corrupt) and self._bridge(message):
            return
        fold = self._fold
        self._gap += 1
        self._note(
            Skip(message.sequence, "record", revision=fold.revision, digest=fold.digest, why=why)
        )

    def _bridge(self, message: StoredMessage) -> bool:
        """What was left out before was commits: go on where this one says that they ended."""
        try:
            commit = decode_plain_commit(self._stream, message)
        except (Undecodable, Corrupt):
            return False
        missing = commit.revision - 1 - self._fold.revision
        if not 0 < missing <= self._gap or commit.agent != str(self._agent):
            return False
        before = self._new[max(self._new)]
        digest = commit.previous_digest
        skip = msgspec.structs.replace(before, revision=commit.revision - 1, digest=digest)
        self._note(skip)
        self._fold.skip(skip)
        self._gap = 0
        return True

    def _note(self, skip: Skip) -> None:
        self._skips[skip.sequence] = self._new[skip.sequence] = skip
        if len(self._skips) > MAX_SKIPS:
            raise Invalid(
                f"over {MAX_SKIPS} commits of {self._agent} can't be read: restore the journal"
                " from a backup, or the code"
            )

    def plan(self, last: int) -> RepairPlan | None:
        """What came of it."""
        fold = self._fold
        if not self._new:
            return None
        return RepairPlan(
            str(self._agent),
            last,
            tuple(self._skips[sequence] for sequence in sorted(self._skips)),
            tuple(self._new[sequence] for sequence in sorted(self._new)),
            tuple(self._events),
            fold.revision,
            fold.digest,
            fold.time,
            fold.dispatched,
            fold.repaired,
        )


async def repair(bus: Bus, plan: RepairPlan, *, by: str, why: str) -> int:
    """Append the repair; returns its sequence. Raises `Conflict` if the agent went on meanwhile.

    Also `Unavailable`, after which it may be stored: plan again, and see.
    """
    agent = AgentId.parse(plan.agent)
    now = Timestamp(bus.clock.now_us(), 0)
    time = now if now > plan.time else Timestamp(plan.time.micros, plan.time.counter + 1)
    commit: Commit[Any] = Commit(
        agent=plan.agent,
        revision=plan.revision + 1,
        outcome="repaired",
        command=Command(
            id=f"repair:{bus.entropy.token()}", name="Repair", body=msgspec.Raw(b"null")
        ),
        time=time,
        reason=f"{why} ({by})",
        previous_digest=plan.digest,
        dispatched=plan.dispatched,
        repair=Repair(by, why, plan.skips),
        repaired=plan.repaired,
    )
    record, _ = encode_commit(commit, "json")
    done: asyncio.Future[list[int] | MoonletError] = asyncio.get_running_loop().create_future()
    writer = GroupCommit(bus, bus.topology.journal_of(agent.type))
    writer.append(bus.subjects.journal(agent), plan.last, [record], done.set_result)
    result = await done
    if isinstance(result, Conflict):
        raise Conflict(f"{plan.agent} went on meanwhile: look again, and repair then") from result
    if isinstance(result, MoonletError):
        raise result
    return result[0]
