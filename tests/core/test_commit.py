"""The commit: whole in both encodings, plain for people, typed by an agent type's classes."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.agents import AgentType
from moonlet.core.codec import MAX_DEPTH, Codec, Encoding
from moonlet.core.commit import Command, Commit, Effect, Event, place, plain
from moonlet.core.digest import record_digest
from moonlet.core.errors import InvalidMessage, UnknownCommand
from moonlet.core.hlc import Timestamp
from moonlet.core.schema import schema, upcast

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
BOTH = pytest.mark.parametrize("encoding", ENCODINGS)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
BODIES = st.dictionaries(TEXT, st.integers(-9, 9) | TEXT | st.none() | st.booleans(), max_size=3)
COUNTS = st.integers(0, 2**63 - 1)
LANES: Any = st.sampled_from(["critical", "high", "medium", "low"])
EVENTS = st.builds(Event[Any], TEXT, BODIES, st.integers(1, 9))
COMMITS = st.builds(
    Commit[Any],
    agent=TEXT,
    revision=COUNTS,
    outcome=st.sampled_from(["accepted", "rejected", "expired", "parked"]),
    command=st.builds(
        Command[Any], TEXT, TEXT, BODIES, st.integers(1, 9), LANES, COUNTS, TEXT, COUNTS, TEXT,
        TEXT, TEXT, COUNTS, TEXT, TEXT,
    ),
    time=st.builds(Timestamp, COUNTS, COUNTS),
    reason=TEXT,
    error=TEXT,
    events=st.lists(EVENTS, max_size=3).map(tuple),
    effects=st.lists(
        st.builds(
            Effect[Any],
            st.sampled_from(["send", "publish", "schedule", "cancel", "perform"]),
            TEXT,
            LANES,
            st.none() | EVENTS,
            COUNTS,
        ),
        max_size=3,
    ).map(tuple),
    reply=BODIES | st.none(),
    app_version=TEXT,
    previous_digest=TEXT,
    dispatched=COUNTS,
)  # fmt: skip

LEAST: Commit[Any] = Commit(
    "account/alice", 1, "accepted", Command("1", "Deposit", {"amount": 5}), Timestamp(7)
)


def codec(kind: Any, encoding: Encoding) -> Codec[Any]:
    return Codec[Any](Commit[kind], encoding)


@BOTH
@given(commit=COMMITS)
def test_a_commit_comes_back_whole(encoding: Encoding, commit: Commit[Any]) -> None:
    data = codec(Any, encoding).encode(commit)
    assert codec(Any, encoding).decode(data) == commit
    raw = codec(msgspec.Raw, encoding).decode(data)
    assert codec(msgspec.Raw, encoding).encode(raw) == data, "bodies pass through untouched"


@BOTH
def test_what_is_usual_takes_no_room(encoding: Encoding) -> None:
    data = codec(Any, encoding).encode(LEAST)
    module: Any = msgspec.json if encoding == "json" else msgspec.msgpack
    assert module.decode(data) == {
        "agent": "account/alice",
        "revision": 1,
        "outcome": "accepted",
        "command": {"id": "1", "name": "Deposit", "body": {"amount": 5}},
        "time": [7, 0],
    }


@BOTH
def test_bodies_at_the_limit_of_depth_fit_into_a_commit(encoding: Encoding) -> None:
    body: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        body = [body]
    event = Event("E", body)
    commit = msgspec.structs.replace(
        LEAST,
        command=Command("1", "N", body),
        events=(event,),
        effects=(Effect("send", "a/b", message=event),),
        reply=body,
    )
    for kind in (Any, msgspec.Raw):
        codec(kind, encoding).decode(codec(Any, encoding).encode(commit))
    assert codec(Any, encoding).decode(codec(Any, encoding).encode(commit)) == commit


@BOTH
@given(data=st.binary(max_size=60), cut=st.integers(0, 60))
def test_bytes_that_are_no_commit_raise_invalid_message(
    encoding: Encoding, data: bytes, cut: int
) -> None:
    whole = codec(Any, encoding).encode(LEAST)
    for broken in (data, whole[: cut % len(whole)], whole + b"\xc1"):
        with pytest.raises(InvalidMessage):
            codec(Any, encoding).decode(broken)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"outcome": "perhaps"}, "$.outcome"),
        ({"revision": "1"}, "$.revision"),
        ({"events": [{"name": 7, "body": {}}]}, "$.events[0].name"),
        ({"effects": [{"kind": "explode"}]}, "$.effects[0].kind"),
        ({"command": {"id": "1", "name": "N"}}, "$.command"),
        ({"time": [1]}, None),
        ({"time": ["x", 0]}, "$.time[0]"),
    ],
)
def test_a_field_of_a_commit_that_does_not_fit_is_named(change: Any, path: str | None) -> None:
    fields = {**msgspec.json.decode(codec(Any, "json").encode(LEAST)), **change}
    data = msgspec.json.encode(fields)
    if path is None:
        assert codec(Any, "json").decode(data).time == Timestamp(1, 0)
        return
    with pytest.raises(InvalidMessage) as misfit:
        codec(Any, "json").decode(data)
    assert misfit.value.path == path


def test_the_plain_form_has_every_key_and_is_json() -> None:
    shown = plain(place(msgspec.structs.replace(LEAST), 12, "d" * 32))
    assert list(shown) == [
        "agent", "revision", "outcome", "command", "time", "reason", "error", "events", "effects",
        "reply", "app_version", "previous_digest", "dispatched", "epoch", "repair", "repaired",
        "sequence", "digest", "wall", "where", "stored",
    ]  # fmt: skip
    assert {
        "id", "name", "version", "lane", "sequence", "sender", "number", "correlation_id",
        "causation_id", "deadline", "body",
    } <= set(shown["command"])  # fmt: skip
    assert shown["time"] == {
        "micros": 7,
        "counter": 0,
        "datetime": "1970-01-01T00:00:00.000007+00:00",
    }
    assert (shown["sequence"], shown["events"], shown["reply"]) == (12, [], None)
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown


@given(COMMITS.filter(lambda commit: commit.time.micros < 10**16))
def test_the_plain_form_of_any_commit_is_json_with_its_bodies_as_they_are(
    commit: Commit[Any],
) -> None:
    shown = plain(commit)
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown
    assert shown["command"]["body"] == commit.command.body
    assert [event["body"] for event in shown["events"]] == [e.body for e in commit.events]
    assert [effect["kind"] for effect in shown["effects"]] == [e.kind for e in commit.effects]


def test_a_commits_time_is_a_utc_moment() -> None:
    assert LEAST.time.datetime == datetime(1970, 1, 1, 0, 0, 0, 7, tzinfo=UTC)


@BOTH
def test_a_place_is_said_once_a_commit_is_stored_and_is_no_part_of_the_record(
    encoding: Encoding,
) -> None:
    stored = codec(Any, encoding).encode(LEAST)
    placed = place(codec(Any, encoding).decode(stored), 99, record_digest(stored))
    assert (placed.sequence, placed.digest) == (99, record_digest(stored))
    assert msgspec.structs.replace(placed, sequence=0, digest="") == LEAST


class Deposit(msgspec.Struct, frozen=True):
    amount: int


@schema("Deposited", version=2)
class Deposited(msgspec.Struct, frozen=True):
    cents: int


class Account(msgspec.Struct, frozen=True):
    cents: int = 0


@upcast("Deposited", 1)
def in_cents(body: dict[str, Any]) -> dict[str, Any]:
    return {"cents": body["amount"] * 100}


account = AgentType("account", Account)


@account.on_command
def deposit(state: Account, command: Deposit) -> Any:
    yield Deposited(command.amount * 100)


@account.on_event
def deposited(state: Account, event: Deposited) -> Account:
    return Account(state.cents + event.cents)


def test_an_agent_type_gives_the_typed_messages_of_a_commit_old_versions_too() -> None:
    commit = msgspec.structs.replace(
        LEAST, events=(Event("Deposited", {"amount": 5}), Event("Deposited", {"cents": 7}, 2))
    )
    decoded = commit.decode(account)
    assert decoded.command == Deposit(5)
    assert decoded.events == (Deposited(500), Deposited(7))
    assert commit.events[0].body == {"amount": 5}


def test_a_commit_of_unknown_or_unfit_messages_says_which() -> None:
    unknown = msgspec.structs.replace(LEAST, command=Command("1", "Withdraw", {}))
    with pytest.raises(UnknownCommand, match="no command 'Withdraw'; it has: Deposit"):
        unknown.decode(account)
    with pytest.raises(UnknownCommand, match="no event 'Gone'"):
        msgspec.structs.replace(LEAST, events=(Event("Gone", {}),)).decode(account)
    with pytest.raises(InvalidMessage) as misfit:
        msgspec.structs.replace(LEAST, command=Command("1", "Deposit", {"amount": "x"})).decode(
            account
        )
    assert misfit.value.path == "$.amount"
