"""Verify: each kind of damage is named, with agent, revision and event; what is whole is not.

Histories are made here as a host makes them, but without a server.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from moonlet.agents import (
    AgentType,
    Context,
    Decision,
    HistoryFault,
    Perform,
    Rejected,
    Reply,
    Schedule,
    Send,
    Verification,
)
from moonlet.agents.histories import seen
from moonlet.agents.histories.seen import SeenSet
from moonlet.core import fold as folds
from moonlet.core.commit import Command, Commit, Event
from moonlet.core.digest import DIGEST_HEADER, record_digest
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.memory import windows
from moonlet.core.schema import schema, upcast
from moonlet.streams import Snapshot, StoredMessage, encode_commit, take_snapshot

ALICE = AgentId("till", "alice")
STREAM = "moon-journal-main"


class Sell(msgspec.Struct, frozen=True):
    amount: int


class Explode(msgspec.Struct, frozen=True):
    pass


class Sold(msgspec.Struct, frozen=True):
    amount: int
    ticket: int


class Till(msgspec.Struct, frozen=True):
    total: int = 0


def till(*, fee: int = 0, explodes: bool = True, effects: bool = True) -> AgentType[Till]:
    """A till; with another `fee`, or without effects, it decides otherwise."""
    made = AgentType("till", Till)

    @made.on_command
    def sell(state: Till, command: Sell, context: Context) -> Decision:
        if command.amount > 100:
            raise Rejected(f"over 100 after {state.total}")
        yield Sold(command.amount, context.random.randrange(1_000_000))
        yield Sold(fee, context.now.microsecond)
        if effects:
            yield Send("book/main", Sell(command.amount))
            yield Schedule(Explode(), after=60, name="later")
            yield Perform(Explode())
        yield Reply(state.total + command.amount)

    @made.on_command
    def explode(state: Till, command: Explode) -> None:
        if explodes:
            raise ValueError("boom")

    @made.on_event
    def sold(state: Till, event: Sold) -> Till:
        return Till(state.total + event.amount)

    return made


class Book:
    """Writes an agent's history: decided by `made`, then damaged by whoever wants to."""

    def __init__(self, made: AgentType[Any], agent: AgentId = ALICE) -> None:
        self.made = made
        self.agent = agent
        self.fold: Fold[Any] = Fold(made.behavior.initial())
        self.messages: list[StoredMessage] = []

    def write(self, *commands: Any, **changes: Any) -> "Book":
        for command in commands:
            self.store(self.decided(command), **changes)
        return self

    def decided(self, message: Any) -> Commit[Any]:
        revision = self.fold.revision + 1
        name = type(message).__name__
        handler = self.made.behavior.commands[name]
        command: Command[Any] = Command(
            id=f"c-1.{revision}",
            name=name,
            body=msgspec.Raw(msgspec.json.encode(message)),
            sender="c-1",
            number=revision,
        )
        time = Timestamp(1_700_000_000_000_000 + revision * 1_001)
        context = Context(
            self_id=str(self.agent),
            revision=revision - 1,
            now_us=time.micros,
            command_id=command.id,
            sender="c-1",
            correlation_id=command.id,
        )
        decision = self.made.behavior.decide(self.fold.state, handler, message, context, "json")
        return Commit(
            agent=str(self.agent),
            revision=revision,
            outcome=decision.outcome,
            command=command,
            time=time,
            reason=decision.reason,
            error=decision.error,
            events=decision.events,
            effects=decision.effects,
            reply=decision.reply,
            app_version="0.9",
            previous_digest=self.fold.digest,
        )

    def store(self, commit: Commit[Any], **changes: Any) -> "Book":
        (payload, headers), digest = encode_commit(
            msgspec.structs.replace(commit, **changes), "json"
        )
        sequence = len(self.messages) + 1
        subject = f"moon.evt.{self.agent.type}.{self.agent.key}"
        self.messages.append(StoredMessage(subject, sequence, 0, headers, payload))
        state = self.fold.state
        for event in commit.events:
            state = self.made.behavior.evolve_stored(state, event, "json")
        stored = msgspec.structs.replace(commit, sequence=sequence, digest=digest)
        self.fold.revision = commit.revision - 1
        self.fold.digest = commit.previous_digest
        self.fold.advance(stored, state)
        return self


def faults(
    messages: Sequence[StoredMessage],
    made: AgentType[Any] | None = None,
    snapshot: Snapshot | None = None,
) -> tuple[list[HistoryFault], Verification]:
    verification = Verification({made.name: made} if made is not None else {})
    verification.meet(ALICE, STREAM, snapshot)
    found = [verification.take(ALICE, message) for message in messages]
    return [f for f in found if f is not None] + verification.finish(), verification


def only(messages: Sequence[StoredMessage], made: AgentType[Any] | None = None) -> HistoryFault:
    [fault], _ = faults(messages, made or till())
    return fault


def changed(
    message: StoredMessage, change: Callable[[dict[str, Any]], None], *, sealed: bool = True
) -> StoredMessage:
    """The message with its record changed; `sealed` with the digest that the new bytes have."""
    record = msgspec.json.decode(message.data)
    change(record)
    data = msgspec.json.encode(record)
    headers = {DIGEST_HEADER: record_digest(data)} if sealed else message.headers
    return msgspec.structs.replace(message, data=data, headers=headers)


def history() -> Book:
    return Book(till()).write(Sell(5), Sell(500), Explode(), Sell(7))


def test_what_was_decided_so_is_decided_so_again() -> None:
    book = history()
    found, verification = faults(book.messages, till())
    assert found == []
    assert (verification.commits, verification.decided, verification.mended) == (4, 4, 0)
    assert verification.codeless == []


def test_without_the_code_the_chain_is_checked() -> None:
    found, verification = faults(history().messages)
    assert found == []
    assert (verification.commits, verification.decided) == (4, 0)
    assert verification.codeless == ["till"]


def test_an_event_that_is_decided_otherwise_is_named_with_its_field() -> None:
    fault = only(history().messages, till(fee=1))
    assert (fault.agent, fault.revision, fault.sequence) == ("till/alice", 1, 1)
    assert (fault.kind, fault.event) == ("decision", "Sold")
    assert "event 2 differs at $.amount: it was 0, and is 1, recorded by version 0.9" in (
        fault.message
    )


def test_only_the_first_difference_of_an_agent_is_told() -> None:
    book = history().write(Sell(8), Sell(9))
    found, verification = faults(book.messages, till(fee=1))
    assert len(found) == 1
    assert verification.commits == 6


def test_an_effect_an_outcome_a_reason_and_a_reply_are_compared_too() -> None:
    messages = history().messages
    assert "3 effects were yielded, and now 0" in only(messages, till(effects=False)).message
    strict = till()
    strict.behavior.commands["Sell"] = msgspec.structs.replace(
        strict.behavior.commands["Sell"], function=lambda state, command, context: _no()
    )
    told = only(messages, strict).message
    assert "it was accepted, and is rejected (no more)" in told
    second = Book(till()).write(Sell(500)).messages
    assert "the reason was 'over 100 after 0'" in only(second, strict).message

    def reply(record: dict[str, Any]) -> None:
        record["reply"] = 6

    told = only([changed(messages[0], reply)]).message
    assert "the reply differs at $: it was 6, and is 5" in told


def _no() -> None:
    raise Rejected("no more")


def test_a_command_that_the_code_has_no_more_is_named() -> None:
    bare = till()
    del bare.behavior.commands["Explode"], bare.behavior.commands["Sell"]
    assert "has no command 'Sell' any more" in only(history().messages, bare).message


def test_an_event_that_the_code_has_no_more_is_undecodable() -> None:
    book = Book(till())
    commit = book.decided(Explode())
    event = Event("Bought", msgspec.Raw(b"{}"))
    messages = book.store(commit).messages

    def add(record: dict[str, Any]) -> None:
        record["events"] = [{"name": event.name, "body": {}}]

    fault = only([changed(messages[0], add)])
    assert (fault.kind, fault.event) == ("undecodable", "Bought")


def test_a_parked_command_that_would_work_today_is_no_fault_but_told() -> None:
    found, verification = faults(history().messages, till(explodes=False))
    assert found == []
    assert (verification.mended, verification.decided) == (1, 3)


def test_a_command_that_ended_its_process_is_not_run_again() -> None:
    book = Book(till())
    book.store(book.decided(Explode()), error="MoonletError", reason="its decision ended …")
    deadly = till()

    def die(state: Till, command: Explode) -> None:
        raise SystemExit("it was run")

    deadly.behavior.commands["Explode"] = msgspec.structs.replace(
        deadly.behavior.commands["Explode"], function=die
    )
    assert faults(book.messages, deadly)[0] == []


def test_expiring_needs_a_deadline_that_had_passed() -> None:
    book = Book(till())
    commit = book.decided(Explode())
    early = msgspec.structs.replace(commit.command, deadline=commit.time.micros - 1)
    late = msgspec.structs.replace(commit.command, deadline=commit.time.micros + 1)
    expired: dict[str, Any] = {"outcome": "expired", "reason": "", "events": (), "effects": ()}
    good = Book(till()).store(commit, command=early, **expired)
    assert faults(good.messages, till())[0] == []
    for command in (late, commit.command):
        bad = Book(till()).store(commit, command=command, **expired)
        assert "it expired, but" in only(bad.messages).message


def test_changed_bytes_are_corrupt() -> None:
    messages = history().messages

    def change(record: dict[str, Any]) -> None:
        record["command"]["body"]["amount"] = 6

    fault = only([changed(messages[0], change, sealed=False), *messages[1:]])
    assert (fault.kind, fault.revision) == ("corrupt", 1)
    fault = only([msgspec.structs.replace(messages[0], headers=None)])
    assert "no digest" in fault.message
    fault = only([msgspec.structs.replace(messages[0], data=b"{", headers=None)])
    assert fault.kind == "corrupt"


def test_a_forged_commit_breaks_the_chain_behind_it() -> None:
    messages = history().messages

    def change(record: dict[str, Any]) -> None:
        record["app_version"] = "0.8"

    found, _ = faults([messages[0], changed(messages[1], change), *messages[2:]])
    assert [(f.kind, f.revision) for f in found] == [("chain", 3)]
    assert "one of them was changed" in found[0].message


def test_a_missing_a_repeated_and_a_strange_commit_are_breaks() -> None:
    messages = history().messages
    assert "revision 3 follows revision 1" in only([messages[0], *messages[2:]]).message
    assert "revision 1 follows revision 1" in only([messages[0], *messages]).message
    other = Book(till(), AgentId("till", "bob")).write(Sell(5)).messages
    assert "says that it is till/bob's" in only(other).message


def test_a_command_that_was_committed_twice_is_named() -> None:
    book = Book(till()).write(Sell(5))
    again = book.decided(Sell(5))
    same = msgspec.structs.replace(again.command, number=1, id="c-1.1")
    fault = only(book.store(again, command=same).messages)
    assert (fault.kind, fault.revision) == ("twice", 2)
    nameless = msgspec.structs.replace(again.command, number=0, sender="", id="mine")
    book = Book(till()).store(Book(till()).decided(Explode()), command=nameless)
    book.store(book.decided(Explode()), command=nameless)
    assert only(book.messages).kind == "twice"


def test_a_command_that_was_committed_twice_is_named_however_long_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(windows, "SENDERS", 2)
    monkeypatch.setattr(folds, "IDS", 2)
    monkeypatch.setattr(seen, "IN_MEMORY", 8)
    for by_number in (True, False):
        book = Book(till())
        commit = book.decided(Explode())
        commands = [
            msgspec.structs.replace(commit.command, number=1, sender=f"c-{n}", id=f"c-{n}.1")
            if by_number
            else msgspec.structs.replace(commit.command, number=0, sender="", id=f"own-{n}")
            for n in range(40)
        ]
        for command in [*commands, commands[0]]:
            book.store(book.decided(Explode()), command=command)
        fault = only(book.messages)
        assert (fault.kind, fault.revision) == ("twice", 41)


def test_a_set_on_disk_has_what_was_added_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seen, "IN_MEMORY", 4)
    many = SeenSet()
    for n in range(3_000):
        assert many.add("a", str(n)) and not many.add("a", str(n))
    assert len(many) == 3_000
    assert not any(many.add("a", str(n)) for n in range(3_000))
    assert many.add("b", "0")


def test_a_firing_or_a_result_that_was_not_open_is_named() -> None:
    book = Book(till())
    commit = book.decided(Explode())
    for change in ({"timer": "later", "number": 1}, {"call": "till/alice:1.2"}):
        command = msgspec.structs.replace(commit.command, **change)
        assert only(Book(till()).store(commit, command=command).messages).kind == "twice"


def snapshot_of(book: Book) -> Snapshot:
    state = book.made.encode_state(book.fold.state)
    return take_snapshot(
        book.fold, ALICE, state=state, incarnation="i", code=book.made.state_code()
    )


def test_a_snapshot_must_agree_with_the_commits() -> None:
    book = history()
    good = snapshot_of(book)
    assert faults(book.messages, till(), good)[0] == []
    other = msgspec.structs.replace(good, state=till().encode_state(Till(99)))
    [fault], _ = faults(book.messages, till(), other)
    assert (fault.kind, fault.revision) == ("snapshot", 4)
    assert faults(book.messages, till(), msgspec.structs.replace(other, code="old"))[0] == []
    forged = msgspec.structs.replace(good, digest="0" * 32)
    [fault], _ = faults(book.messages, till(), forged)
    assert "names another commit" in fault.message


def test_a_journal_that_lost_its_tail_is_known_by_the_snapshot() -> None:
    book = history()
    [fault], _ = faults(book.messages[:2], till(), snapshot_of(book))
    assert (fault.kind, fault.revision) == ("snapshot", 3)
    assert "the journal ends at 2" in fault.message


def test_a_subject_that_is_no_agent_s_is_foreign() -> None:
    verification = Verification({})
    message = StoredMessage("moon.evt.a.b.c", 9, 0, None, b"")
    fault = verification.take(None, message)
    assert fault is not None and (fault.kind, fault.sequence) == ("foreign", 9)
    assert verification.foreign == 1


@schema("Sold", version=2)
class SoldToday(msgspec.Struct, frozen=True):
    amount: int
    ticket: int
    currency: str


@upcast("Sold", 1)
def sold_1(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "currency": "EUR"}


def test_an_event_of_an_older_version_is_upcast_before_it_is_compared() -> None:
    def selling(currency: str) -> AgentType[Till]:
        today = AgentType("till", Till)

        @today.on_command
        def sell(state: Till, command: Sell) -> Decision:
            yield SoldToday(command.amount, 3, currency)

        @today.on_event
        def sold(state: Till, event: SoldToday) -> Till:
            return state

        return today

    first = AgentType("till", Till)

    @first.on_command
    def sell(state: Till, command: Sell) -> Decision:
        yield Sold(command.amount, 3)

    @first.on_event
    def sold(state: Till, event: Sold) -> Till:
        return state

    messages = Book(first).write(Sell(5)).messages
    assert faults(messages, selling("EUR"))[0] == []
    fault = only(messages, selling("USD"))
    assert 'differs at $.currency: it was "EUR", and is "USD"' in fault.message
