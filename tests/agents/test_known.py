"""What was counted is never forgotten: against the plain set of all that was ever committed."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.agents.deciding import LookUp, QueuedCommand, Verdict
from moonlet.agents.deciding.known import known, known_number
from moonlet.agents.recovery.past_keeper import to_merge
from moonlet.core import fold as folds
from moonlet.core.commit import Command, Commit, place
from moonlet.core.envelope import Envelope
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.memory import (
    NOTHING_KEPT,
    WINDOW,
    SortedRun,
    find,
    items,
    joined,
    past,
    runs,
    windows,
)
from moonlet.streams import restore_snapshot, take_snapshot

AGENT = AgentId("hub", "a")


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Limits so small that a few commands cross each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "SENDERS", 3)
        patch.setattr(folds, "IDS", 2)
        patch.setattr(past, "SPILL", 2)
        patch.setattr(past, "RECALLED_MAX", 2)
        patch.setattr(runs, "PAGE_FACTS", 2)
        patch.setattr("moonlet.agents.recovery.past_keeper.FANOUT", 2)
        yield


class Hub:
    """A fold, its journal, a disk for its runs, and a plain set of what was committed."""

    def __init__(self) -> None:
        self.fold: Fold[None] = Fold(None)
        self.commits: list[Commit[Any]] = []
        self.done: set[str] = set()
        self.disk: dict[str, list[bytes]] = {}
        self.listed: tuple[list[SortedRun], Any] = [], None
        self.looked_up = 0

    def judge(self, envelope: Envelope) -> tuple[Any, QueuedCommand]:
        unused: Any = None
        queued = QueuedCommand(unused, unused, 0, True)
        for _ in range(3):
            if envelope.number:
                verdict = known_number(self.fold, queued, envelope, ahead=False)
            else:
                verdict = known(self.fold, queued, envelope)
            if not isinstance(verdict, LookUp):
                return verdict, queued
            self.looked_up += 1
            for key in verdict.keys:
                fact = None
                for run in self.fold.past.runs:
                    page = run.page_of(key) if run.pages is None else -1
                    if page >= 0:
                        fact = joined(fact, find(self.disk[run.name][page], key))
                self.fold.past.recall(key, fact)
        raise AssertionError("it is looked up for ever")

    def take(self, envelope: Envelope) -> None:
        """Judge, compare with the set, and commit what is new."""
        verdict, queued = self.judge(envelope)
        if envelope.id in self.done:
            assert verdict is Verdict.ANSWER_AGAIN, f"{envelope.id} would be applied twice"
            return
        assert verdict is None, f"{envelope.id} would vanish"
        self.done.add(envelope.id)
        command: Command[Any] = Command(
            envelope.id, "N", None, sender=envelope.sender, number=envelope.number,
            by_id=queued.by_id,
        )  # fmt: skip
        revision = len(self.commits) + 1
        commit: Commit[Any] = Commit(
            str(AGENT), revision, "accepted", command, Timestamp(revision),
            previous_digest=self.fold.digest,
        )  # fmt: skip
        self.commits.append(place(commit, 10 * revision, f"{revision:x}"))
        self.fold.advance(commit, None)

    def store(self) -> None:
        """As a keeper does, at once."""
        known_past = self.fold.past
        if not known_past.held:
            return
        upto = known_past.held[-1].upto
        merged = to_merge(known_past.runs)
        facts: dict[bytes, Any] = {}
        for run in merged:
            for page in run.pages if run.pages is not None else self.disk.pop(run.name):
                for key, fact in items(page):
                    facts[key] = joined(facts.get(key), fact)
        new = runs.make_run(iter(sorted(facts.items())), upto)
        new.name = f"r{upto.revision}"
        assert new.pages is not None
        self.disk[new.name], new.pages = new.pages, None
        kept = [run for run in known_past.runs if run not in merged]
        self.listed = [*kept, new], upto
        known_past.adopt(*self.listed, place=upto.revision)

    def restart(self, commits_ago: int, *, snapshot: bool) -> None:
        """The journal's fold again: from a snapshot so many commits ago, or from the first one."""
        start = max(0, len(self.commits) - commits_ago) if snapshot else 0
        fold: Fold[None] = Fold(None)
        for commit in self.commits[:start]:
            fold.advance(commit, None)
        stored, upto = self.listed
        if start and upto is not None and upto.revision <= start:
            fold.own_past().adopt(stored, upto, upto.revision)
        if start and not fold.past.held:
            taken = take_snapshot(fold, AGENT, state=b"", incarnation="i", code="c")
            fold = restore_snapshot(taken, None)
            if taken.past:
                fold.own_past().adopt(stored, upto, upto.revision)
        for commit in self.commits[start:]:
            fold.advance(commit, None)
        if upto is not None and not fold.past.stored.revision:
            fold.own_past().adopt(stored, upto, upto.revision)
        self.fold = fold


def envelope(sender: str, number: int, id: str = "") -> Envelope:
    id = id or f"{sender}.{number}"
    return Envelope(id=id, agent=str(AGENT), name="N", body=msgspec.Raw(b"null"), sender=sender,
                    number=number)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(20, 120))
def test_nothing_counts_twice_and_nothing_vanishes_whatever_left_memory(
    rng: random.Random, steps: int
) -> None:
    hub = Hub()
    highest: dict[str, int] = {}
    sent: list[Envelope] = []
    for _ in range(steps):
        kind = rng.randrange(12)
        if kind < 4 and sent:
            hub.take(rng.choice(sent))  # a retry, at any delay
        elif kind < 8:
            sender = f"c{rng.randrange(9)}"
            top = highest.get(sender, 0)
            skip = rng.choice((1, 1, 1, 2, 3))
            highest[sender] = top + skip
            late = [envelope(sender, top + n) for n in range(1, skip)]  # these come later
            hub.take(envelope(sender, top + skip))
            sent += [*late, envelope(sender, top + skip)]
        elif kind == 8:
            sender = f"agent/{rng.randrange(9)}"
            number = highest[sender] = highest.get(sender, 0) + rng.randrange(1, 5_000)
            sent.append(envelope(sender, number))
            hub.take(sent[-1])
        elif kind == 9:
            sent.append(envelope("", 0, f"own-{rng.randrange(40)}"))
            hub.take(sent[-1])
        elif kind == 10:
            hub.store()
        else:
            hub.restart(rng.randrange(5), snapshot=rng.random() < 0.7)
    for old in {one.id: one for one in sent}.values():
        if not old.sender.startswith("agent/"):
            hub.take(old)
            hub.take(old)


def test_a_sender_of_whom_no_run_knows_costs_no_look_up() -> None:
    hub = Hub()
    for n in range(300):
        hub.take(envelope(f"agent/n{n}", 1_024))
        hub.store()
    assert hub.looked_up == 0 and len(hub.disk) < 12
    hub.take(envelope("agent/n0", 1_024))
    assert hub.looked_up == 1


def test_a_number_too_far_ahead_is_not_believed_and_counts_once() -> None:
    hub = Hub()
    hub.take(envelope("c", 1))
    far = envelope("c", 2**62)
    hub.take(far)
    for number in range(2, 8):
        hub.take(envelope("c", number))
    near = envelope("c", 7 + WINDOW + 1)
    hub.take(near)
    for number in range(8, 8 + WINDOW, 100):
        hub.take(envelope("c", number))  # which moves the window to where `near` stands
    for again in (far, near, envelope("c", 3)):
        hub.take(again)
        hub.restart(2, snapshot=True)
        hub.take(again)


def test_prints_that_are_too_many_stay_out_of_memory_and_all_is_still_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(past, "PRINTS_MAX", 8)
    hub = Hub()
    for n in range(60):
        hub.take(envelope(f"agent/n{n}", 1_024))
        hub.store()
    assert any(run.prints is None for run in hub.fold.past.runs)
    for n in range(60):
        hub.take(envelope(f"agent/n{n}", 1_024))


def test_a_fold_that_decides_nothing_keeps_nothing() -> None:
    hub = Hub()
    hub.fold.past = NOTHING_KEPT
    for n in range(60):
        hub.take(envelope(f"agent/n{n}", 1_024))
    assert hub.fold.past is NOTHING_KEPT and not NOTHING_KEPT.any
    assert not NOTHING_KEPT.runs and not NOTHING_KEPT.fresh and not NOTHING_KEPT.whole
