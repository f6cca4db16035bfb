"""What a partition's owner answers over core NATS: queries, outcomes, orders to stop or start."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

import msgspec

from moonlet.agents.answering.old_outcomes import Found, OldOutcomes, OutcomeKey
from moonlet.agents.deciding import (
    Asked,
    LookUp,
    PendingCommit,
    Rules,
    Sought,
    Verdict,
    is_committed,
    seen_of,
)
from moonlet.agents.definition import AgentType, Context
from moonlet.agents.live import LiveAgent, Phase
from moonlet.agents.services import HostServices
from moonlet.core import errors
from moonlet.core.behavior import Handler, parked
from moonlet.core.codec import Encoding
from moonlet.core.commit import Command
from moonlet.core.envelope import Envelope
from moonlet.core.errors import InvalidId, MoonletError, Unavailable
from moonlet.core.fold import Fold, Seen, body_digest, plain_body
from moonlet.core.ids import AgentId, check_name
from moonlet.core.marks import reached
from moonlet.core.schema import encode_plain
from moonlet.streams import (
    OWNER_CONTROL,
    OWNER_OUTCOME,
    OWNER_QUERY,
    Answer,
    Message,
    Question,
    ServerRefused,
    answer_of,
    conflict_answer,
    count_up_to,
    decode_question,
    post_answer,
    post_outcome,
    same_command,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

AWAITED_MAX: Final = 10_000
"""Outcomes that may be waited for in one partition; further ones are answered 'waiting'."""

RECENT: Final = 1_024
"""Commits of one partition that are remembered, to answer retries without reading the journal:
about a kilobyte each."""

SERVING_MAX: Final = 4_096
"""Questions of one partition that are being answered; further ones are told to ask again."""

LOOK_UPS: Final = 3
"""How often what left an agent's memory is looked up for one question."""

READY: Final = 5.0
"""Seconds that a question waits for its agent to be recovered."""


def outcome_key(agent: str, command: Command[Any] | Envelope | Question) -> OutcomeKey:
    """What a command's outcome is known by: another sender may use its id, and is not it."""
    if command.number:
        return agent, command.id, command.sender, command.lane, command.number
    return agent, command.id, "", "", 0


_NOT_WARM: Final = (Phase.COLD, Phase.RECOVERING, Phase.DOUBTING)


class Answering(Protocol):
    """What is asked of the partition whose owner answers."""

    @property
    def services(self) -> HostServices:
        """The host's."""
        ...

    @property
    def agent_type(self) -> AgentType[Any]:
        """Whose agents these are."""
        ...

    @property
    def journal_stream(self) -> str:
        """Where its agents' commits are."""
        ...

    @property
    def rules(self) -> Rules:
        """By what its commands are decided."""
        ...

    @property
    def name(self) -> str:
        """Type and number, for messages to people."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it is given up, or handed over."""
        ...

    @property
    def answers(self) -> bool:
        """Whether it is open, and its host's lease holds."""
        ...

    @property
    def trouble(self) -> str:
        """Why no commit is taken just now; '' if they are."""
        ...

    def agent(self, key: str) -> LiveAgent:
        """The agent of this key, cold if it is not in memory."""
        ...

    def status_of(self, id: AgentId) -> dict[str, Any]:
        """What is known of an agent here, as plain data."""
        ...

    def why_stopped(self, id: AgentId) -> str:
        """Why an agent that is stopped is so, for people."""
        ...

    def check_query(self, id: AgentId, name: str) -> None:
        """Raise `Unavailable` for a query that ended a host's process."""
        ...

    async def stop_agent(self, id: AgentId) -> None:
        """Let what is in flight finish, mark the agent stopped for all owners to come."""
        ...

    async def start_agent(self, id: AgentId) -> None:
        """Take the mark away, and go on."""
        ...

    async def fetch(self, agent: LiveAgent, wanted: LookUp) -> bool:
        """Have the agent's fold recall it; False if it has to be asked again. Raises as a read."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Run something that ends with the partition."""
        ...

    def later(self, callback: Callable[[], None], delay: float) -> None:
        """Call back in `delay` seconds, unless the partition is closed by then."""
        ...


class OwnerService:
    """The three services of one partition. Whoever asks while it is closed asks the next owner."""

    def __init__(self, partition: Answering) -> None:
        self._partition = partition
        self._services = {
            OWNER_QUERY: self._query,
            OWNER_OUTCOME: self._outcome,
            OWNER_CONTROL: self._control,
        }
        self.waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._ordered = asyncio.Lock()
        self._recent: OrderedDict[OutcomeKey, Found] = OrderedDict()
        self.awaited: dict[OutcomeKey, list[str]] = {}
        self._old = OldOutcomes(
            partition.services, partition.journal_stream, partition.spawn, outcome_key
        )
        self._serving = 0

    def ask(self, service: str, message: Message) -> None:
        """Answer a question that came by that service, or leave it to the next owner."""
        if self._serving >= SERVING_MAX:
            reached("more is asked than is answered at once")
            what = f"over {SERVING_MAX} questions are being answered: ask again"
            self._post([message.reply], _failed("", "Unavailable", what), "json")
            return
        self._serving += 1
        answer = self._services[service]
        self._partition.spawn(self._serve(message, answer), f"answer {message.subject}")

    # outcomes

    def committed(self, agent: LiveAgent, commits: Sequence[PendingCommit]) -> None:
        """They are stored, in order: tell their senders, and who else asked."""
        recent, awaited = self._recent, self.awaited
        for pending in commits:
            commit = pending.commit
            recent[outcome_key(commit.agent, commit.command)] = commit, pending.encoding
            if len(recent) > RECENT:
                recent.popitem(last=False)
            reply = pending.envelope.reply
            if reply or awaited:
                self._tell(pending, reply)

    def _tell(self, pending: PendingCommit, reply: str) -> None:
        """Send a landed commit's outcome to its sender and to those who asked for it."""
        commit = pending.commit
        replies = [reply]
        if self.awaited:
            replies += self.awaited.pop(outcome_key(commit.agent, commit.command), ())
        partition = self._partition
        post_outcome(
            partition.services.bus, replies, commit, partition.journal_stream, pending.encoding
        )

    def _post(self, replies: list[str], answer: Answer, encoding: Encoding) -> None:
        post_answer(self._partition.services.bus, replies, answer, encoding)

    def answer_again(self, envelope: Envelope, verdict: Verdict) -> None:
        """Answer a sender's retry as its first try was, or would have been, answered."""
        if verdict is Verdict.CONFLICT:
            self._post([envelope.reply], conflict_answer(envelope.id, envelope.agent), "json")
            return
        found = self._recent.get(outcome_key(envelope.agent, envelope))
        if found is not None:
            self._tell_again(envelope, found)
            return

        async def look_up() -> None:
            try:
                agent = self._partition.agent(AgentId.parse(envelope.agent).key)
                looked = await self._find(agent, envelope)
            except MoonletError as error:  # the sender asks again, or reads the journal
                log.info("an answer was not found", agent=envelope.agent, error=str(error))
                return
            if looked is not None:
                self._tell_again(envelope, looked)

        self._partition.spawn(look_up(), f"look up {envelope.id}")

    def _tell_again(self, envelope: Envelope, found: Found) -> None:
        """What came of it; if another used the sender's number before it, that."""
        commit, encoding = found
        if not envelope.reply:
            return
        if same_command(commit, body_digest(envelope.name, plain_body(envelope.body))):
            answer = answer_of(commit, self._partition.journal_stream)
        else:
            answer, encoding = conflict_answer(envelope.id, envelope.agent), "json"
        self._post([envelope.reply], answer, encoding)

    async def _outcome(self, question: Question, encoding: Encoding, reply: str) -> Answer | None:
        """The outcome of a command; if it is not decided yet, when it is."""
        partition = self._partition
        found = self._recent.get(outcome_key(question.agent, question))
        if found is None:
            agent = await self._warm(question)
            if await self._committed(agent, question):
                found = await self._find(agent, question)
        if found is not None:
            commit, stored_in = found
            if not same_command(commit, question.body_digest):
                return conflict_answer(question.id, question.agent)
            self._post([reply], answer_of(commit, partition.journal_stream), stored_in)
            return None
        if len(self.awaited) >= AWAITED_MAX or partition.trouble:
            return Answer("waiting", question.id, reason=partition.trouble)
        key = outcome_key(question.agent, question)
        self.awaited.setdefault(key, []).append(reply)
        partition.later(lambda: self._forget_awaited(key, reply), READY)
        return None

    def _forget_awaited(self, key: OutcomeKey, reply: str) -> None:
        replies = self.awaited.get(key)
        if replies is not None and reply in replies:
            replies.remove(reply)
            if not replies:
                del self.awaited[key]

    async def _committed(self, agent: LiveAgent, question: Question) -> bool:
        asked = Sought(question.id, question.sender, question.lane, question.number)
        for _ in range(LOOK_UPS):
            fold = agent.fold
            if fold is None:
                return True  # it was forgotten meanwhile: the journal knows
            committed = is_committed(fold, asked)
            if not isinstance(committed, LookUp):
                return committed
            await self._partition.fetch(agent, committed)
        raise Unavailable(f"{agent.id} is busy: ask again")

    async def _find(self, agent: LiveAgent, command: Question | Envelope) -> Found | None:
        """The commit of a command that was dealt with; raises `Unavailable`."""
        key, sequence = outcome_key(command.agent, command), 0
        if not command.number:
            fold = agent.fold
            seen = seen_of(fold, command.id) if fold is not None else None
            if isinstance(seen, LookUp):
                await self._partition.fetch(agent, seen)
                seen = seen_of(fold, command.id) if fold is not None else None
            sequence = seen.sequence if isinstance(seen, Seen) else 0
        return await self._old.find(agent.id, key, sequence)

    # queries

    async def _query(self, question: Question, encoding: Encoding, reply: str) -> Answer:
        partition = self._partition
        handler = partition.agent_type.queries.get(question.name)
        if handler is None:
            known = ", ".join(sorted(partition.agent_type.queries)) or "none"
            return _failed(
                question.id,
                "UnknownCommand",
                f"agent type {partition.agent_type.name} has no query {question.name!r}; it has:"
                f" {known}",
            )
        try:
            query = handler.message.decode(question.body, question.version, encoding)
        except MoonletError:
            raise
        except BaseException as error:  # nothing is awaited here: it is a validator's own
            return self._query_failed(question, error)
        fold = await self._acknowledged(question)
        partition.check_query(AgentId.parse(question.agent), question.name)
        context = Context(
            self_id=question.agent,
            revision=fold.revision,
            now_us=fold.time.micros,  # of the last commit: equal states give equal answers
            sender=question.sender,
            correlation_id=question.correlation_id,
        )
        try:
            given = (fold.state, query, context) if handler.wants_context else (fold.state, query)
            partition.services.running.work = Asked(question.agent, question.name)
            value = encode_plain(self._watched(question, handler, given), encoding)
        except MoonletError:
            raise
        except BaseException as error:  # nor here: it is the handler's own
            return self._query_failed(question, error)
        finally:
            partition.services.running.work = None
        return Answer(
            "answered",
            question.id,
            msgspec.Raw(value),
            stream=partition.journal_stream,
            sequence=fold.sequence,
            revision=fold.revision,
        )

    def _watched(self, question: Question, handler: Handler, given: Sequence[Any]) -> Any:
        """What the handler answers; now and then it is watched that it leaves the state alone."""
        watch = self._partition.rules.watch
        if watch is None:
            return handler.function(*given)
        watch.due[question.name] -= 1
        if watch.due[question.name] >= 0:
            return handler.function(*given)
        before = watch.before(given[0])
        try:
            return handler.function(*given)
        finally:
            watch.answered(question.agent, question.name, given[0], before)

    def _query_failed(self, question: Question, error: BaseException) -> Answer:
        failure, partition = parked(None, error), self._partition
        kind = f"{partition.agent_type.name}/{question.name}/{type(error).__name__}"
        facts = {"agent": question.agent, "query": question.name, "reason": failure.reason}
        partition.services.complain("a query failed", kind, stack=failure.stack, **facts)
        return _failed(question.id, "Rejected", f"the query failed: {failure.reason}")

    async def _acknowledged(self, question: Question) -> Fold[Any]:
        """The agent's state, no older than the sequence that the client has seen."""
        while True:
            agent = await self._warm(question)
            await self._see(agent, question.at_least)
            if agent.fold is not None:
                return agent.fold
            if agent.phase is Phase.CLOSED:
                raise Unavailable(f"{agent.id} left memory meanwhile; ask again")

    async def _see(self, agent: LiveAgent, at_least: int) -> None:
        """Have in memory what was stored of the agent when the question came.

        That is no more than the client can have seen of it. What is in flight may be stored, and
        not acknowledged to us yet: it is waited for.
        """
        if agent.fold is None or agent.fold.sequence >= at_least:
            return
        bus, stream = self._partition.services.bus, self._partition.journal_stream
        subject = bus.subjects.journal(agent.id)
        stored, _ = await count_up_to(bus, stream, subject, at_least)
        while agent.fold is not None and agent.fold.revision < stored:
            if agent.phase in (Phase.RUNNING, Phase.BLOCKED):
                agent.forget()  # somebody else wrote it
            await self._until_ready(agent)

    # orders

    async def _control(self, question: Question, encoding: Encoding, reply: str) -> Answer:
        partition = self._partition
        id = AgentId.parse(question.agent)
        check_name(id.key, "agent key")
        if question.name == "status":
            status = partition.status_of(id)
            return Answer("answered", question.id, msgspec.Raw(encode_plain(status, encoding)))
        if question.name not in ("stop", "start"):
            return _failed(question.id, "UnknownCommand", f"no order {question.name!r}")
        async with self._ordered:  # whoever gave up on an order and gives another means the other
            if not partition.answers:
                raise Unavailable(f"{partition.name} was lost meanwhile: order it again")
            if question.name == "stop":
                await partition.stop_agent(id)
            else:
                await partition.start_agent(id)
        return Answer("answered", question.id)

    # shared

    async def _serve(self, message: Message, answer: Any) -> None:
        """One question; every failure is an answer too."""
        try:
            await self._answer(message, answer)
        finally:
            self._serving -= 1

    async def _answer(self, message: Message, answer: Any) -> None:
        encoding: Encoding = "json"
        try:
            question, encoding = decode_question(message.data, message.headers)
            if not self._partition.answers:
                return  # handing over, or we slept past our lease: the next owner answers
            result = await answer(question, encoding, message.reply)
        except MoonletError as error:
            if self._partition.closed:
                return  # it may be about the handing over alone: the next owner answers
            result = failure(error)
        if result is not None and message.reply:
            self._post([message.reply], result, encoding)

    async def _warm(self, question: Question) -> LiveAgent:
        """The agent, recovered; raises what stands against it."""
        id = AgentId.parse(question.agent)
        partition = self._partition
        if id.type != partition.agent_type.name:
            raise InvalidId(f"{id} is not of type {partition.agent_type.name}")
        agent = partition.agent(id.key)
        if agent.stopped:
            raise Unavailable(partition.why_stopped(id))
        if agent.phase is Phase.BROKEN and agent.error is not None:
            raise agent.error
        if agent.phase in _NOT_WARM:
            await self._until_ready(agent)
        return agent

    async def _until_ready(self, agent: LiveAgent) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(agent.id.key, []).append(future)
        agent.wake()
        try:
            async with asyncio.timeout(READY):
                await future
        except TimeoutError:
            raise Unavailable(f"{agent.id} is still being recovered; ask again") from None
        if agent.error is not None:
            raise agent.error

    def ready(self, key: str) -> None:
        """An agent is warm, has a newer state, or is broken."""
        for future in self.waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)


def _failed(id: str, error: str, reason: str) -> Answer:
    return Answer("failed", id, reason=reason, error=error)


def failure(error: MoonletError) -> Answer:
    """What whoever asks is told of an error: the class by which `core.errors` knows it.

    Layers have classes of their own below those, which no caller has heard of; and what the server
    refuses an owner says nothing of the question.
    """
    if isinstance(error, ServerRefused):
        return _failed("", "Unavailable", str(error))
    known = next(kind for kind in type(error).__mro__ if vars(errors).get(kind.__name__) is kind)
    return _failed("", known.__name__, str(error))
