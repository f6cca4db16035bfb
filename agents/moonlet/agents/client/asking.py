"""Asking a partition's owner, and waiting for a command's outcome however it may be learned."""

import asyncio
from typing import Final

from moonlet.agents.histories import find_commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Unavailable, Unknown
from moonlet.core.fold import body_digest, plain_body
from moonlet.core.ids import AgentId
from moonlet.streams import (
    OWNER_OUTCOME,
    Answer,
    Bus,
    Home,
    NoResponders,
    Question,
    answer_of,
    conflict_answer,
    decode_answer,
    encode_question,
    same_command,
    stream_facts,
)

ASK_AGAIN: Final = 1.0
"""Seconds without an answer after which the owner is asked what became of a command."""

OWNER_ANSWERS: Final = 2.0
"""Seconds that one question to an owner may take before it is asked again."""


async def ask_owner(
    bus: Bus,
    service: str,
    agent: AgentId,
    home: Home,
    question: Question,
    *,
    until: float,
) -> Answer | None:
    """The owner's answer; None if there is no owner, or it is silent, until monotonic `until`."""
    subject = bus.subjects.owner(service, agent, home)
    payload, headers = encode_question(question, bus.encoding)
    attempt = 0
    while True:
        attempt += 1
        left = until - bus.clock.monotonic()
        if left <= 0:
            return None
        try:
            message = await bus.request(
                subject, payload, headers=headers, timeout=min(left, OWNER_ANSWERS)
            )
            return decode_answer(message.data, message.headers)
        except Unavailable:
            await bus.backoff(attempt)


async def await_outcome(
    bus: Bus,
    agent: AgentId,
    envelope: Envelope,
    home: Home,
    future: "asyncio.Future[Answer] | None",
    *,
    until: float,
) -> Answer:
    """The outcome of a stored command: from the owner, the journal, or the answer to it after all.

    The answer travels at most once; so whoever has waited a second for it asks the owner, and where
    there is no owner the journal is read. Raises `Unknown(stored='yes')` when time is up.
    """
    digest = ""
    if not envelope.number:
        digest = body_digest(envelope.name, plain_body(envelope.body))
    while True:
        if until - bus.clock.monotonic() <= 0:
            break
        question = Question(
            agent=envelope.agent,
            id=envelope.id,
            sender=envelope.sender,
            lane=envelope.lane,
            number=envelope.number,
            body_digest=digest,
        )
        answer = await _outcome_from_owner(bus, agent, home, question, until)
        if answer is not None:
            return answer
        left = until - bus.clock.monotonic()
        if future is not None and left > 0 and not future.done():
            await asyncio.wait([future], timeout=min(left, ASK_AGAIN))
        if future is not None and future.done():
            return future.result()
    why = "its host may be down or busy"
    try:
        stored = await _outcome_from_journal(bus, agent, envelope.id, digest)
        journal = bus.topology.journal_of(agent.type)
        if stored is None and await stream_facts(bus, journal) is None:
            why = f"its journal, the stream {journal}, is gone: restore it, or start a host"
    except Unavailable:
        stored = None
    if stored is not None:
        return stored
    raise Unknown(
        f"{envelope.name} is stored for {agent}, but was not decided in time: {why}; ask again with"
        " the same id",
        stored="yes",
        command_id=envelope.id,
    )


async def _outcome_from_owner(
    bus: Bus, agent: AgentId, home: Home, question: Question, until: float
) -> Answer | None:
    subject = bus.subjects.owner(OWNER_OUTCOME, agent, home)
    payload, headers = encode_question(question, bus.encoding)
    left = until - bus.clock.monotonic()
    if left <= 0:
        return None
    try:
        message = await bus.request(
            subject, payload, headers=headers, timeout=min(left, OWNER_ANSWERS)
        )
    except NoResponders:
        try:
            stored = await _outcome_from_journal(bus, agent, question.id, question.body_digest)
        except Unavailable:  # the server is in trouble: there is time to ask again
            stored = None
        if stored is None:
            await asyncio.sleep(min(0.2, left))
        return stored
    except Unavailable:
        answer = None
    else:
        answer = decode_answer(message.data, message.headers)
        if answer.outcome == "waiting" or answer.error == "Unavailable":
            answer = None
    if answer is None:  # without a connection that is known at once: don't ask in a circle
        await asyncio.sleep(min(0.2, left))
    return answer


async def _outcome_from_journal(bus: Bus, agent: AgentId, id: str, digest: str) -> Answer | None:
    found = await find_commit(bus, agent, id)
    if found is None:
        return None
    if not same_command(found, digest):
        return conflict_answer(id, str(agent))
    return answer_of(found, bus.topology.journal_of(agent.type))
