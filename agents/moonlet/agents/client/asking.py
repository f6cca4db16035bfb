"""Asking a partition's owner, and waiting for a command's outcome however it may be learned."""

import asyncio
from typing import Any, Final

from moonlet.agents.client.answers import outcome_of
from moonlet.agents.client.timeouts import in_time
from moonlet.agents.histories import find_commit
from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import NoHost, Unavailable, Unknown
from moonlet.core.fold import body_digest, plain_body
from moonlet.core.ids import AgentId
from moonlet.streams import (
    OWNER_OUTCOME,
    Answer,
    Bus,
    Disconnected,
    Home,
    Journal,
    NoResponders,
    Question,
    answer_of,
    conflict_answer,
    decode_answer,
    decode_plain_commit,
    encode_question,
    same_command,
    stream_facts,
)

ASK_AGAIN: Final = 1.0
"""Seconds without an answer after which the owner is asked what became of a command."""

OWNER_ANSWERS: Final = 2.0
"""Seconds that one question to an owner may take before it is asked again."""

LAST_LOOK: Final = 0.5
"""Seconds kept for a look into the journal, where an owner is silent: a quarter of all at most."""


async def ask_owner(
    bus: Bus,
    service: str,
    agent: AgentId,
    home: Home,
    question: Question,
    *,
    until: float,
) -> Answer:
    """The owner's answer; raises `NoHost` if none came by the loop's time `until`."""
    subject = bus.subjects.owner(service, agent, home)
    payload, headers = encode_question(question, bus.encoding)
    why = ""

    async def ask() -> Answer:
        nonlocal why
        attempt = 0
        while True:
            attempt += 1
            try:
                message = await bus.request(
                    subject, payload, headers=headers, timeout=OWNER_ANSWERS
                )
                return decode_answer(message.data, message.headers)
            except NoResponders:
                why = ""
            except Disconnected:
                why = f"there is no connection to {bus.description}; it is being restored"
            except Unavailable:
                why = f"its host, or the server at {bus.description}, is silent"
            await bus.backoff(attempt)

    def late() -> NoHost:
        if why:
            return NoHost(f"no answer for {agent} in time: {why}; try again")
        return NoHost(
            f"no host answered for {agent} in time: start one with `moonlet run`, or wait"
            " until the partition is taken over"
        )

    return await in_time(ask(), until, late)


def has_name(commit: Commit[Any], sent: Envelope) -> bool:
    """Whether a commit is of a command that is named so: another may have used its id as well."""
    command = commit.command
    if (commit.agent, command.id, command.number) != (sent.agent, sent.id, sent.number):
        return False
    return not sent.number or (command.sender, command.lane) == (sent.sender, sent.lane)


class CommitSearch:
    """Looks for a command's commit in its journal, each time from where the last look ended."""

    def __init__(
        self, bus: Bus, agent: AgentId, envelope: Envelope, digest: str, after: int
    ) -> None:
        self._bus = bus
        self._agent = agent
        self._sent = envelope
        self._digest = digest
        self._after = after
        self.journal = bus.topology.journal_of(agent.type)
        self.gone = False
        self.why = ""

    async def look(self) -> Answer | None:
        """The outcome, None if it is not there, or the server is in trouble."""
        try:
            found, self._after = await find_commit(
                self._bus, self._agent, lambda commit: has_name(commit, self._sent), self._after
            )
            if found is None:
                self.gone = await stream_facts(self._bus, self.journal) is None
                return None
        except Unavailable:
            return None
        return self._told(found)

    async def at(self, sequence: int) -> Answer | None:
        """The outcome that is too large for a message, where it is said to stand."""
        stored = await Journal(self._bus, self.journal).message(sequence)
        commit = None if stored is None else decode_plain_commit(self.journal, stored)
        if commit is None or not has_name(commit, self._sent):
            return None  # whoever answered is not to be believed
        return self._told(commit)

    def _told(self, commit: Commit[Any]) -> Answer:
        if not same_command(commit, self._digest):
            return conflict_answer(self._sent.id, self._sent.agent)
        return answer_of(commit, self.journal)


async def await_outcome(
    bus: Bus,
    agent: AgentId,
    envelope: Envelope,
    home: Home,
    future: "asyncio.Future[Answer] | None",
    *,
    after: int,
    until: float,
) -> Answer:
    """The outcome of a stored command: from the owner, the journal, or the answer to it after all.

    The answer travels at most once; so whoever has waited a second for it asks the owner, and where
    there is no owner the journal is read, behind sequence `after`, where the commit can only be.
    Raises `Unknown(stored='yes')` at the loop's time `until`.
    """
    digest = body_digest(envelope.name, plain_body(envelope.body))
    search = CommitSearch(bus, agent, envelope, digest, after)
    question = Question(
        agent=envelope.agent,
        id=envelope.id,
        sender=envelope.sender,
        lane=envelope.lane,
        number=envelope.number,
        body_digest=digest,
    )
    loop = asyncio.get_running_loop()
    last_look = until - min(LAST_LOOK, (until - loop.time()) / 4)

    async def ask() -> Answer:
        while loop.time() < last_look:
            if future is not None and future.done():
                told = future.result()
                answer = told if told.outcome != "waiting" else await search.at(told.sequence)
                if answer is not None:
                    return answer
            answer = await _outcome_from_owner(bus, agent, home, question, search, last_look)
            if answer is not None:
                return answer
            left = last_look - loop.time()
            if future is not None and left > 0 and not future.done():
                await asyncio.wait([future], timeout=min(left, ASK_AGAIN))
        answer = await search.look()
        if answer is not None:
            return answer
        if future is not None and (not future.done() or future.result().outcome != "waiting"):
            return await future  # its last chance, until time is up
        never: asyncio.Future[Answer] = loop.create_future()
        return await never

    def late() -> Unknown:
        why = search.why or "its host may be down or busy"
        if search.gone:
            why = f"its journal, the stream {search.journal}, is gone: restore it, or start a host"
        return Unknown(
            f"{envelope.name} is stored for {agent}, but was not decided in time: {why}; ask again"
            " with the same id",
            stored="yes",
            command_id=envelope.id,
        )

    return await in_time(ask(), until, late)


async def _outcome_from_owner(
    bus: Bus, agent: AgentId, home: Home, question: Question, search: CommitSearch, until: float
) -> Answer | None:
    subject = bus.subjects.owner(OWNER_OUTCOME, agent, home)
    payload, headers = encode_question(question, bus.encoding)
    left = until - asyncio.get_running_loop().time()
    try:
        message = await bus.request(
            subject, payload, headers=headers, timeout=max(0.001, min(left, OWNER_ANSWERS))
        )
    except NoResponders:
        stored = await search.look()
        if stored is None:
            await asyncio.sleep(min(0.2, left))
        return stored
    except Unavailable:
        answer = None
    else:
        answer = decode_answer(message.data, message.headers)
        if answer.outcome == "waiting" and answer.sequence:
            return await search.at(answer.sequence)
        search.why = answer.reason if answer.outcome == "waiting" else ""
        answer = outcome_of(answer, question)
    if answer is None:  # without a connection that is known at once: don't ask in a circle
        await asyncio.sleep(min(0.2, left))
    return answer
