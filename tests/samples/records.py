"""What the samples hold: one agent's history with every outcome and effect, and its envelopes.

`python -m tests.samples.records` writes the next numbered pair of files. Those there are never
changed or removed: they are records that somebody's journal may hold.
"""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from moonlet.core.codec import Codec, Encoding
from moonlet.core.commit import Command, Commit, Effect, Event, Repair, Skip, place, plain
from moonlet.core.digest import GENESIS, record_digest
from moonlet.core.envelope import Envelope
from moonlet.core.hlc import Timestamp

FOLDER = Path(__file__).parent
ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")

TIME = 1_678_500_000_000_000
BODY = {"amount": 5, "note": "zoé 🌙", "rate": 0.878, "tags": ["a", None, True], "more": {}}
EVENT = Event("Deposited", {"amount": 5}, 2)


def commands() -> list[dict[str, Any]]:
    """The fields of each commit that differ from the usual ones."""
    message = Event("Tick", {"n": 1}, 3)
    return [
        {
            "command": Command(
                "c0ffee-1", "Deposit", BODY, 2, "high", 41, "c0ffee", 1, "run-1", "cause-1",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", TIME + 60_000_000,
            ),
            "events": (EVENT, Event("Noted", {})),
            "reply": {"balance": 5, "owed": None},
            "app_version": "1.0",
        },
        {"command": Command("by-id", "Withdraw", {"amount": 9}), "outcome": "rejected",
         "reason": "the balance is 5"},
        {"command": Command("c0ffee-2", "Deposit", BODY, sender="c0ffee", number=2),
         "outcome": "expired", "reason": "the deadline passed before it was decided"},
        {"command": Command("odd", "Nope", None, lane="low"), "outcome": "parked",
         "reason": "account has no command 'Nope'", "error": "UnknownCommand"},
        {
            "command": Command("oracle/main:7.0", "Run", {}, lane="critical", sender="oracle/main",
                               number=7168),
            "effects": (
                Effect("send", "aegis/main", "critical", EVENT),
                Effect("publish", "prices.usdc", message=Event("", [0.878, "usdc"])),
                Effect("schedule", "alarm", message=message, due=TIME + 1),
                Effect("schedule", "kept", message=message, due=TIME + 2),
                Effect("perform", message=Event("Fetch", {"url": "x"})),
                Effect("perform", message=Event("Fetch", {"url": "y"})),
                Effect("cancel", "none"),
            ),
        },
        {"command": Command("account/alice:5.2", "Tick", {"n": 1}, 3, timer="alarm", number=5),
         "reply": 0, "dispatched": 5},
        {"command": Command("account/alice:5.4", "Fetched", {}, call="account/alice:5.4"),
         "effects": (Effect("cancel", "gone"),), "dispatched": 6},
        {"command": Command("far", "Deposit", BODY, sender="c0ffee", number=9_000, by_id=True),
         "epoch": 1, "wall": TIME + 5},
        {"command": Command("repair-1", "Repair", None), "outcome": "repaired",
         "repair": Repair("ann", "a crash", (Skip(60, "events", why="bytes of another"),))},
        {"command": Command("c0ffee-9", "Deposit", BODY, sender="c0ffee", number=3),
         "repaired": 90},
        {"command": Command("c0ffee-10", "Deposit", BODY, sender="c0ffee", number=4, stored=TIME),
         "outcome": "parked", "reason": "KeyError: 'x'", "where": "accounts.py:31 in deposit"},
    ]  # fmt: skip


def envelopes() -> list[dict[str, Any]]:
    """The fields of each envelope but the body."""
    return [
        {"id": "least", "agent": "account/alice", "name": "Deposit"},
        {
            "id": "c0ffee-1", "agent": "account/alice", "name": "Deposit", "version": 2,
            "lane": "high", "sender": "c0ffee", "number": 2**40, "correlation_id": "run-1",
            "causation_id": "cause-1", "traceparent": "00-4bf92f3577b34da6-01",
            "deadline": TIME, "reply": "_INBOX.x.1",
        },
        {"id": "account/alice:5.2", "agent": "account/alice", "name": "Tick", "timer": "alarm",
         "number": 5},
        {"id": "account/alice:5.4", "agent": "account/alice", "name": "Fetched",
         "sender": "account/alice", "call": "account/alice:5.4"},
    ]  # fmt: skip


def journal(encoding: Encoding) -> list[dict[str, Any]]:
    """The stored commits: payload, digest, sequence, and what a reader sees."""
    stored = []
    digest = GENESIS
    for revision, fields in enumerate(commands(), 1):
        usual = {
            "agent": "account/alice",
            "revision": revision,
            "outcome": "accepted",
            "time": Timestamp(TIME + revision, revision % 2),
            "previous_digest": digest,
        }
        commit: Commit[Any] = Commit(**{**usual, **fields})
        data = Codec[Commit[Any]](Commit[Any], encoding).encode(commit)
        digest = record_digest(data)
        place(commit, 10 * revision, digest, TIME + 10 * revision)
        stored.append({**payload(data, encoding), "digest": digest, "reads_as": plain(commit)})
    return stored


def mailbox(encoding: Encoding) -> list[dict[str, Any]]:
    """The stored envelopes: payload, and what a reader sees."""
    module: Any = msgspec.json if encoding == "json" else msgspec.msgpack
    stored = []
    for fields in envelopes():
        envelope = Envelope(body=msgspec.Raw(module.encode(BODY)), **fields)
        data = Codec[Envelope](Envelope, encoding).encode(envelope)
        reads_as = {name: getattr(envelope, name) for name in Envelope.__struct_fields__}
        stored.append({**payload(data, encoding), "reads_as": {**reads_as, "body": BODY}})
    return stored


def payload(data: bytes, encoding: Encoding) -> dict[str, str]:
    """How a sample holds a message: JSON as it is, MessagePack compressed and in base64."""
    if encoding == "json":
        return {"encoding": "json", "payload": data.decode()}
    return {
        "encoding": "msgpack+zstd",
        "payload": base64.b64encode(zstandard.compress(data)).decode(),
    }


def paths(name: str) -> list[Path]:
    """The files of samples of this name, oldest first."""
    return sorted(FOLDER.glob(f"{name}-*.json"), key=lambda path: int(path.stem.split("-")[1]))


def write_next() -> None:
    """Write the samples of today's code beside those of yesterday's."""
    number = len(paths("journal")) + 1
    for name, made in (("journal", journal), ("mailbox", mailbox)):
        path = FOLDER / f"{name}-{number}.json"
        assert not path.exists()
        samples = {encoding: made(encoding) for encoding in ENCODINGS}
        path.write_text(json.dumps(samples, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_next()
