"""A view's state on one replica: the fold of the commits that its frontier covers.

A pure function of that set of commits: whatever the interleaving of the journals, the duplicates
and the joins, an equal frontier has equal canonical bytes.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid, in_words
from moonlet.core.frontier import Frontier
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.projections.errors import InvalidView, PoisonedEvent
from moonlet.projections.fields import (
    BoundedStore,
    DotStore,
    Fields,
    FieldStore,
    Op,
    Recorder,
    carry_out,
)
from moonlet.projections.values import (
    INDEX_SHIFT,
    MAX_EVENTS,
    Amount,
    Dot,
    JournalId,
    Journals,
    Observed,
    SeenDot,
    SeenRow,
    pack,
    to_wire,
    unpack,
)
from moonlet.projections.view.view import View

MAX_INDEX: Final = 100_000
"""Changes that are remembered for deltas; beyond it the oldest are forgotten."""


class At(msgspec.Struct, frozen=True, gc=False):
    """Where an event stands, for its handler.

    `observed` is the token that the event carries, if it is one of this view.
    """

    _commit: Commit[Any]
    _tag: str
    _index: int
    observed: Observed | None

    @property
    def dot(self) -> Dot:
        """The journal's incarnation, the commit's sequence, the event's index in it."""
        return Dot(self._tag, self._commit.sequence, self._index)

    @property
    def agent(self) -> AgentId:
        """The agent that recorded the event: `.type`, `.key`."""
        return AgentId.parse(self._commit.agent)

    @property
    def revision(self) -> int:
        """The agent's revision that the commit made."""
        return self._commit.revision

    @property
    def time(self) -> Timestamp:
        """The commit's hybrid time; `.datetime` is UTC."""
        return self._commit.time


class ViewState:
    """The state of `view` over `journals`; `skipped` are commits left out by decision.

    Two replicas join only if view, version, journals (with incarnations and filters) and skipped
    commits are the same: the skips belong to the identity, since the state depends on them.
    """

    def __init__(
        self, view: View, journals: Iterable[JournalId], *, skipped: Iterable[Dot] = ()
    ) -> None:
        self.view = view
        self.journals = Journals(journals)
        self.skipped = frozenset(skipped)
        self.identity = self.journals.identity(view.name, self.skipped)
        self.vector = [0] * len(self.journals)
        self.floor = [0] * len(self.journals)
        """Below this vector the index of changes knows nothing."""
        self.marks: list[tuple[int, str]] = [(0, "")] * len(self.journals)
        """The last commit folded here of each journal: its sequence and digest, for probes."""
        self.stores: dict[str, FieldStore] = {
            name: field.type.new_store(self.vector) for name, field in view.fields.items()
        }
        self._recorder = Recorder(self.journals)
        self._fields = Fields(
            {
                name: field.writer(self._recorder, self.stores[name])
                for name, field in view.fields.items()
            }
        )
        self._awaiting = [s for s in self.stores.values() if isinstance(s, DotStore)]
        self._skip = {(self.journals.by_tag.get(d.journal), d.sequence) for d in self.skipped}

    # -- folding ---------------------------------------------------------------------------------

    def fold(self, commit: Commit[Any], journal: str, *, encoding: Encoding = "json") -> bool:
        """Fold the next commit of `journal`; False if it was folded before (a duplicate).

        Commits of one journal must come in its order, gaps are allowed. `encoding` is that of
        bodies which are still encoded. Raises `PoisonedEvent`, and the state is as before.
        """
        index = self.journals.index.get(journal)
        if index is None:
            raise Invalid(
                f"view {self.view.name} doesn't fold {journal!r}, only"
                f" {', '.join(self.journals.names)}"
            )
        sequence = commit.sequence
        assert sequence > 0, "a commit is folded after it was stored"
        if sequence <= self.vector[index]:
            return False
        ops = self._record(commit, index, encoding) if commit.events else []
        self.vector[index] = sequence
        self.marks[index] = (sequence, commit.digest)
        if ops:
            carry_out(ops)
        for store in self._awaiting:
            if store.ahead:
                store.passed(index)
        return True

    def advance(self, journal: str, sequence: int) -> None:
        """Raise the frontier to a journal's end, where no commit is pending for the filter."""
        index = self.journals.index[journal]
        if sequence > self.vector[index]:
            self.vector[index] = sequence
            for store in self._awaiting:
                store.passed(index)

    def _record(self, commit: Commit[Any], journal: int, encoding: Encoding) -> list[Op]:
        if self._skip and (journal, commit.sequence) in self._skip:
            return []
        view, recorder, fields = self.view, self._recorder, self._fields
        tag = self.journals.tags[journal]
        base = pack(commit.sequence, 0, journal)
        ops = recorder.open(commit.time)
        handlers, narrowed = view.general, view.narrowed
        index = 0
        try:
            for index, event in enumerate(commit.events):
                handler = handlers.get(event.name)
                if narrowed:
                    handler = view.handler_for(event.name, commit.agent)
                if handler is None:
                    continue
                if type(event.body) is msgspec.Raw and event.version == handler.version:
                    typed = handler.readers[encoding](event.body)
                else:
                    typed = handler.decode(event.body, event.version, encoding)
                observed: Observed | None = None
                if handler.tokens:
                    observed = handler.observed(typed)
                    if observed is not None and observed.view != view.name:
                        observed = None
                    recorder.observe(observed, self.stores)
                else:
                    recorder.seen = None
                recorder.dot = base | index << INDEX_SHIFT
                handler.function(fields, typed, At(commit, tag, index, observed))
            assert len(commit.events) <= MAX_EVENTS
        except BaseException as error:  # nothing is awaited here: it is the handler's own
            raise self._poisoned(commit, journal, index, error) from error
        finally:
            recorder.close()
        return ops

    def _poisoned(
        self, commit: Commit[Any], journal: int, index: int, error: BaseException
    ) -> PoisonedEvent:
        event = commit.events[index]
        stream = self.journals.names[journal]
        return PoisonedEvent(
            f"view {self.view.name}@{self.view.version} stopped at {stream} sequence"
            f" {commit.sequence}: event {index}, {event.name} of {commit.agent}, can't be folded:"
            f" {in_words(error)}. Correct the handler or add an upcaster and retry,"
            f" or skip the commit",
            view=self.view.name,
            stream=stream,
            sequence=commit.sequence,
            index=index,
            type=event.name,
        )

    # -- reading ---------------------------------------------------------------------------------

    @property
    def frontier(self) -> Frontier:
        """Journal → the last sequence folded."""
        return self.journals.frontier(self.vector)

    @property
    def value(self) -> dict[str, Any]:
        """The value of every field, plain data."""
        return {name: field.value(self.stores[name]) for name, field in self.view.fields.items()}

    def read(self, field: str, key: str | None = None) -> tuple[Any, Observed]:
        """The value of a field, or of one key of it, and the token of what was read.

        Raises `LimitExceeded` for a set of too many elements: read them one by one.
        """
        declared = self.view.fields.get(field)
        if declared is None:
            known = ", ".join(self.view.fields)
            raise InvalidView(f"view {self.view.name} has no field {field!r}; it has {known}")
        store = self.stores[field]
        value, rows = declared.read(store, key)
        seen = (SeenRow(field, row, tuple(map(self._seen, store.seen(row)))) for row in rows)
        return value, Observed(self.view.name, tuple(seen))

    def available(self, field: str, journal: str, key: str = "") -> Amount:
        """What an author in `journal` may spend of a `BoundedCounter`, as far as is known here."""
        store = self.stores[field]
        if not isinstance(store, BoundedStore):
            raise Invalid(f"{field} is no BoundedCounter")
        return store.available(key, self.journals.index[journal])

    def _seen(self, seen: tuple[int, Any]) -> SeenDot:
        dot, amount = seen
        sequence, index, journal = unpack(dot)
        total = None if amount is None else to_wire(amount)
        return SeenDot(self.journals.tags[journal], sequence, index, total)

    # -- bytes -----------------------------------------------------------------------------------

    def canonical(self) -> bytes:
        """The state as bytes; equal states have equal bytes, and the other way round."""
        return _encode(
            [
                [name, field.label, self.stores[name].section(sorted(self.stores[name].keys()))]
                for name, field in self.view.fields.items()
            ]
        )

    @property
    def digest(self) -> str:
        """128 bits, hex, over name, version, frontier and canonical state. Costs a full pass."""
        header = [self.view.name, self.view.version, self.identity, self.journals.tags, self.vector]
        return blake2b(_encode(header) + self.canonical(), digest_size=16).hexdigest()

    @property
    def ahead(self) -> int:
        """Keys with a removal that observed a dot which hasn't come yet; 0 once all is read."""
        return sum(len(store.ahead) for store in self._awaiting)

    # -- the index of changes --------------------------------------------------------------------

    def settle(self) -> None:
        """Take fresh changes into the index; over its bound the oldest are forgotten."""
        stores = self.stores.values()
        if sum(store.settle() for store in stores) <= MAX_INDEX:
            return
        # Down to half, so that this pass over all of it comes once in so many changes.
        length = sum(store.compact() for store in stores)
        while length > MAX_INDEX // 2:
            journal, changes = max(
                (
                    (journal, changes)
                    for store in stores
                    for journal, changes in enumerate(store.index)
                ),
                key=lambda entry: len(entry[1]),
            )
            count = (len(changes) + 1) // 2
            self.floor[journal] = max(self.floor[journal], changes.forget(count))
            length -= count

    def touched(self, since: list[int]) -> dict[str, set[str]] | None:
        """The keys of each field changed after `since`; None if the index doesn't go back there."""
        self.settle()
        if any(n < low for n, low in zip(since, self.floor, strict=True)):
            return None
        return {name: store.touched(since) for name, store in self.stores.items()}


_encode: Final = msgspec.msgpack.Encoder().encode
