"""A world of three journals and three replicas, driven by a list of numbers.

Each number is one step: authors write (with tokens that some replica read, now or long ago),
replicas fold, fold again, exchange deltas, lose and repeat them, crash and come back old. A list
of numbers is quick to draw and shrinks well; every digit of a number means something.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from moonlet.core.commit import Command, Commit, Event
from moonlet.core.frontier import Frontier
from moonlet.core.hlc import Timestamp
from moonlet.projections import (
    At,
    AWSet,
    BoundedCounter,
    DeltaGap,
    Doc,
    EWFlag,
    Fields,
    GSet,
    JournalId,
    LexCounter,
    LWWRegister,
    Max,
    Min,
    MVRegister,
    Observed,
    ORMap,
    View,
    ViewState,
    apply_delta,
    make_delta,
)
from tests.projections.spec import Did, Op, Recorded, effect_of, row_of, value_of

NAMES = ("asia", "eu", "us")
REPLICAS = 3
KEYS = ("a", "b", "c", "d", "e", "f")

view = View(
    "world",
    version=1,
    all=GSet,
    budget=BoundedCounter,
    by=ORMap[LexCounter],
    doc=Doc,
    flag=EWFlag,
    last=ORMap[LWWRegister],
    low=Min,
    owners=ORMap[AWSet],
    peak=Max,
    risk=MVRegister,
    tags=AWSet,
    total=LexCounter,
)

WRITES: dict[str, Callable[[Fields, Op], None]] = {
    "all.add": lambda v, op: v.all.add(op.member),
    "budget.grant": lambda v, op: v.budget.grant(op.amount),
    "budget.spend": lambda v, op: v.budget.spend(op.amount),
    "budget.transfer": lambda v, op: v.budget.transfer(op.amount, op.member),
    "by.add": lambda v, op: v.by[op.key].add(op.amount),
    "by.remove": lambda v, op: v.by.remove(op.key),
    "by.reset": lambda v, op: v.by[op.key].reset(),
    "doc.update": lambda v, op: v.doc.update(bytes([op.amount])),
    "flag.disable": lambda v, op: v.flag.disable(),
    "flag.enable": lambda v, op: v.flag.enable(),
    "last.remove": lambda v, op: v.last.remove(op.key),
    "last.set": lambda v, op: v.last[op.key].set(op.amount),
    "low.put": lambda v, op: v.low.put(op.amount),
    "owners.add": lambda v, op: v.owners[op.key].add(op.member),
    "owners.drop": lambda v, op: v.owners.remove(op.key),
    "owners.remove": lambda v, op: v.owners[op.key].remove(op.member),
    "peak.put": lambda v, op: v.peak.put(op.amount),
    "risk.clear": lambda v, op: v.risk.clear(),
    "risk.set": lambda v, op: v.risk.set(op.amount),
    "tags.add": lambda v, op: v.tags.add(op.member),
    "tags.remove": lambda v, op: v.tags.remove(op.member),
    "total.add": lambda v, op: v.total.add(op.amount),
    "total.reset": lambda v, op: v.total.reset(),
}

# What only grows needs fewer draws.
DRAWN = tuple(verb for verb in sorted(WRITES) if verb != "budget.transfer")
FIELDS = (
    *("tags", "risk", "by", "last", "owners") * 2,
    *("all", "budget", "doc", "flag", "low", "peak", "total"),
)


@view.on_event
def did(fields: Fields, event: Did, at: At) -> None:
    for op in event.ops:
        WRITES[op.verb](fields, op)


def stirred(number: int) -> int:
    """128 bits that all depend on all bits of `number`."""
    for _ in range(2):
        number = (number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 & 2**128 - 1
        number ^= number >> 61
    return number


class Digits:
    """Takes small numbers off a large one, which is `number`, stirred."""

    def __init__(self, number: int) -> None:
        self.rest = stirred(number)

    def __call__(self, size: int) -> int:
        self.rest, digit = divmod(self.rest, size)
        return digit


def journal_ids(incarnation: str = "2026-01-01T00:00:00Z+0") -> list[JournalId]:
    return [JournalId(name, incarnation) for name in NAMES]


JOURNALS = journal_ids()


def new_state() -> ViewState:
    return ViewState(view, JOURNALS)


NOTHING = make_delta(new_state())


def commit_of(recorded: Recorded, sequence: int) -> Commit[Any]:
    return Commit(
        agent="author/a",
        revision=sequence,
        outcome="accepted",
        command=Command(id="c", name="Do", body=None),
        time=Timestamp(*recorded.time),
        sequence=sequence,
        events=tuple(Event("Did", msgspec.Raw(_encode(event))) for event in recorded.events),
    )


class World:
    """Three journals, three replicas, and what has been in flight between them."""

    def __init__(self) -> None:
        self.recorded: list[list[Recorded]] = [[] for _ in NAMES]
        self.journals: list[list[Commit[Any]]] = [[] for _ in NAMES]
        self.replicas = [new_state() for _ in range(REPLICAS)]
        self.tags = self.replicas[0].journals.tags
        self.snapshots = [NOTHING] * REPLICAS
        self.vectors: list[list[int]] = [[0] * len(NAMES)]
        self.deltas: list[bytes] = []
        self.tokens: list[tuple[str, str, Observed]] = []
        self.known: dict[tuple[int, ...], dict[str, Any]] = {}
        self.verbs = list(DRAWN)
        self.keys: tuple[str, ...] = KEYS
        self.sound: Callable[[int], None] = lambda replica: None
        """Called after every step that changed a replica."""

    def focus(self, digits: Digits) -> None:
        """Each script writes to few fields and keys, so that writes meet."""
        fields = {FIELDS[digits(len(FIELDS))] for _ in range(1 + digits(3))}
        self.verbs = [verb for verb in DRAWN if verb.partition(".")[0] in fields]
        self.keys = KEYS[: (1, 2, 3, 6)[digits(4)]]

    # -- steps -----------------------------------------------------------------------------------

    def run(self, script: Sequence[int]) -> "World":
        self.focus(Digits(script[0]))
        for number in script:
            digits = Digits(number)
            kind = STEPS[digits(len(STEPS))]
            changed = getattr(self, kind)(digits)
            if changed is not None:
                self.sound(changed)
                self.vectors.append(list(self.replicas[changed].vector))
        return self

    def publish(self, digits: Digits) -> int | None:
        """An author records a commit of one to three events; mostly a replica near reads it."""
        journal = digits(len(NAMES))
        replica = self.replicas[digits(REPLICAS)]
        events = []
        for _ in range(1 + digits(4) % 3):
            ops = [self.draw(digits) for _ in range(1 + digits(3) // 2)]
            events.append(Did(ops, self.token(replica, ops[0], digits(4))))
        self.record(journal, Recorded(tuple(events), (1_000 + digits(7), digits(3))))
        if digits(4) == 0:
            return None
        self.feed(self.replicas[journal], journal, 2)
        return journal

    def draw(self, digits: Digits) -> Op:
        verb = self.verbs[digits(len(self.verbs))]
        key, member = self.keys[digits(len(self.keys))], self.keys[digits(len(self.keys))]
        return Op(verb, key, member, 1 + digits(5))

    def token(self, replica: ViewState, op: Op, choice: int) -> Observed | None:
        """None, what the replica shows now, or what it or another showed before."""
        field, what, key, member = effect_of(op)
        if choice == 0:
            return None
        for other, row, token in reversed(self.tokens if choice == 1 else []):
            if (other, row) == (field, row_of(op)):
                return token
        if field == "owners" and what != "drop":
            _, token = replica.read(field, key)
        else:
            _, token = replica.read(field, member or key or None)
        self.tokens.append((field, row_of(op), token))
        return token

    def record(self, journal: int, recorded: Recorded) -> None:
        self.recorded[journal].append(recorded)
        self.journals[journal].append(commit_of(recorded, len(self.recorded[journal])))

    def eat(self, digits: Digits) -> int:
        """A replica folds what comes next in one journal."""
        replica, journal = digits(REPLICAS), digits(len(NAMES))
        self.feed(self.replicas[replica], journal, 1 + digits(4))
        return replica

    def feed(self, state: ViewState, journal: int, count: int) -> None:
        start = state.vector[journal]
        for commit in self.journals[journal][start : start + count]:
            state.fold(commit, NAMES[journal])

    def repeat(self, digits: Digits) -> int:
        """A replica is given again what it has folded."""
        replica, journal = digits(REPLICAS), digits(len(NAMES))
        state = self.replicas[replica]
        end = state.vector[journal]
        before = state.canonical()
        for commit in self.journals[journal][max(0, end - 1 - digits(4)) : end]:
            assert not state.fold(commit, NAMES[journal])
        assert state.canonical() == before
        return replica

    def sync(self, digits: Digits) -> int:
        """A replica asks another for what it misses."""
        taker = digits(REPLICAS)
        self.give((taker + 1 + digits(REPLICAS - 1)) % REPLICAS, taker)
        return taker

    def give(self, giver: int, taker: int) -> None:
        delta = make_delta(self.replicas[giver], self.replicas[taker].frontier)
        self.deltas.append(delta)
        apply_delta(self.replicas[taker], delta)

    def lose(self, digits: Digits) -> None:
        """A delta is made, since some recent frontier, and does not arrive; it may later."""
        giver = self.replicas[digits(REPLICAS)]
        since = self.vectors[-1 - digits(min(6, len(self.vectors)))]
        self.deltas.append(make_delta(giver, giver.journals.frontier(since)))

    def stray(self, digits: Digits) -> int | None:
        """Some earlier delta arrives somewhere, late or again."""
        replica = digits(REPLICAS)
        if not self.deltas:
            return None
        state = self.replicas[replica]
        before = state.canonical(), list(state.vector)
        try:
            apply_delta(state, self.deltas[-1 - digits(min(4, len(self.deltas)))])
        except DeltaGap:
            assert (state.canonical(), state.vector) == before
        return replica

    def snap(self, digits: Digits) -> None:
        replica = digits(REPLICAS)
        state = self.replicas[replica]
        self.snapshots[replica] = make_delta(state)

    def crash(self, digits: Digits) -> int:
        """A replica comes back as it was at some snapshot, its own or another's."""
        replica = digits(REPLICAS)
        self.replicas[replica] = new_state()
        apply_delta(self.replicas[replica], self.snapshots[digits(REPLICAS)])
        return replica

    # -- ends ------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Everything is read by everyone."""
        for state in self.replicas:
            for journal in range(len(NAMES)):
                self.feed(state, journal, len(self.journals[journal]))

    def expected(self, vector: Sequence[int]) -> dict[str, Any]:
        """What the definition says; once for a frontier, since journals only grow."""
        covered = tuple(vector)
        if covered not in self.known:
            self.known[covered] = value_of(self.recorded, vector, self.tags)
        return self.known[covered]

    def folded(self, vector: Sequence[int]) -> ViewState:
        """A fresh fold of exactly what `vector` covers, journal after journal."""
        state = new_state()
        for journal, end in enumerate(vector):
            self.feed(state, journal, end)
        return state

    @property
    def ends(self) -> Frontier:
        return Frontier.of({n: len(j) for n, j in zip(NAMES, self.journals, strict=True)})


STEPS = (
    *("publish",) * 8,
    *("eat",) * 4,
    *("sync",) * 4,
    *("stray",) * 3,
    *("lose",) * 2,
    "repeat",
    "snap",
    "crash",
)

_encode: Final = msgspec.json.Encoder().encode
