"""House rule 6: whatever was ever stored, today's code reads, and reads as the same."""

import base64
import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from moonlet.core.codec import Codec, Encoding, unpack
from moonlet.core.commit import Command, Commit, Effect, EffectKind, Event, Outcome, place, plain
from moonlet.core.digest import record_digest
from moonlet.core.envelope import Envelope
from moonlet.core.fold import Fold, Seen, Where
from moonlet.core.hlc import Timestamp
from moonlet.core.schema import decode_plain
from tests.samples import records

JOURNALS = records.paths("journal")
MAILBOXES = records.paths("mailbox")
BOTH = pytest.mark.parametrize("encoding", records.ENCODINGS)
EVERY_JOURNAL = pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
EVERY_MAILBOX = pytest.mark.parametrize("path", MAILBOXES, ids=lambda path: path.stem)


def samples(path: Path, encoding: Encoding) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))[encoding]
    assert loaded
    return loaded


def bytes_of(sample: dict[str, Any]) -> tuple[bytes, Encoding]:
    """The record's bytes, by the way that every stored message goes."""
    text = sample["payload"]
    stored = text.encode() if sample["encoding"] == "json" else base64.b64decode(text)
    return unpack(stored, sample["encoding"])


def read(sample: dict[str, Any], kind: Any = Any) -> Commit[Any]:
    data, encoding = bytes_of(sample)
    commit = Codec[Commit[Any]](Commit[kind], encoding).decode(data)
    shown = sample["reads_as"]
    return place(commit, shown["sequence"], record_digest(data), shown.get("stored", 0))


def of_then(shown: Any, then: Any) -> Any:
    """Without fields that came later, which have their defaults; those of then are all there."""
    if isinstance(then, dict) and isinstance(shown, dict):
        return {key: of_then(shown[key], value) for key, value in then.items()}
    if isinstance(then, list) and isinstance(shown, list | tuple) and len(then) == len(shown):
        return [of_then(*pair) for pair in zip(shown, then, strict=True)]
    return shown


@EVERY_JOURNAL
@BOTH
def test_every_commit_ever_stored_reads_as_it_did(path: Path, encoding: Encoding) -> None:
    for sample in samples(path, encoding):
        shown = plain(read(sample))
        assert shown["digest"] == sample["digest"]
        assert of_then(shown, sample["reads_as"]) == sample["reads_as"]


@EVERY_JOURNAL
@BOTH
def test_a_history_ever_stored_still_chains_and_folds(path: Path, encoding: Encoding) -> None:
    for kind in (Any, msgspec.Raw):
        fold = Fold(0)
        for sample in samples(path, encoding):
            fold.advance(read(sample, kind), fold.state + 1)
        assert fold.revision == len(samples(path, encoding))


@BOTH
def test_the_first_history_folds_to_what_it_did(encoding: Encoding) -> None:
    fold = Fold(None)
    for sample in samples(records.FOLDER / "journal-1.json", encoding):
        fold.advance(read(sample, msgspec.Raw), None)
    assert (fold.revision, fold.sequence, fold.dispatched) == (7, 70, 6)
    assert fold.time == Timestamp(records.TIME + 7, 1)
    (kept,) = fold.timers.items()
    assert (kept[0], kept[1].revision, kept[1].sequence, kept[1].index) == ("kept", 5, 50, 3)
    assert fold.calls == {"account/alice:5.5": Where(5, 50, 5)}
    assert fold.ids == {
        "by-id": Seen(20, "51072d32a7f40ac0"),
        "odd": Seen(40, "2ae16bd2f7decd11"),
    }
    assert fold.windows.dump() == [
        ("c0ffee|high", 1, "1"),
        ("c0ffee|medium", 2, "1"),
        ("oracle/main|critical", 7168, "0"),
    ]


@EVERY_MAILBOX
@BOTH
def test_every_envelope_ever_stored_reads_as_it_did(path: Path, encoding: Encoding) -> None:
    for sample in samples(path, encoding):
        data, stored_as = bytes_of(sample)
        envelope = Codec[Envelope](Envelope, stored_as).decode(data)
        shown = {name: getattr(envelope, name) for name in sample["reads_as"]}
        shown["body"] = decode_plain(bytes(envelope.body), stored_as)
        assert shown == sample["reads_as"]


def test_there_is_a_sample_of_every_outcome_effect_and_field() -> None:
    commits = [read(s) for path in JOURNALS for s in samples(path, "json")]
    effects = [effect for commit in commits for effect in commit.effects]
    assert {commit.outcome for commit in commits} == set(get_args(Outcome))
    assert {effect.kind for effect in effects} == set(get_args(EffectKind))
    envelopes = [
        Codec[Envelope](Envelope, "json").decode(bytes_of(sample)[0])
        for path in MAILBOXES
        for sample in samples(path, "json")
    ]
    for kind, values in (
        (Commit, commits),
        (Command, [commit.command for commit in commits]),
        (Effect, effects),
        (Event, [event for commit in commits for event in commit.events]),
        (Envelope, envelopes),
    ):
        for field in msgspec.structs.fields(kind):
            seen = {repr(getattr(value, field.name)) for value in values}
            assert seen - {repr(field.default)}, f"no sample of {kind.__name__}.{field.name}"


@BOTH
def test_the_last_samples_are_what_todays_code_writes(encoding: Encoding) -> None:
    """Else the format has changed: keep these, and write the next (`tests.samples.records`)."""
    for paths, made in ((JOURNALS, records.journal), (MAILBOXES, records.mailbox)):
        for stored, fresh in zip(samples(paths[-1], encoding), made(encoding), strict=True):
            assert bytes_of(stored) == bytes_of(fresh)
            assert stored["reads_as"] == json.loads(json.dumps(fresh["reads_as"]))
