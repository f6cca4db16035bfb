"""What a host counts of its commands, while somebody may ask for it: made only then.

Numbers alone, kept where a commit passes anyway; no labels are made and nothing is written until
somebody reads. Without a meter a command costs a comparison with None more.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from moonlet.agents.deciding import PendingCommit, QueuedCommand, Running, Work
from moonlet.core.ids import LANES
from moonlet.telemetry.metrics import BOUNDS, Histogram

NAMES_MAX: Final = 1_000
"""Names of which times are kept; those beyond count as `other`: a foreign client makes up names."""

Kind = tuple[str, str, str]
"""query or fold; the agent type; the query's name."""


SpanHook = Callable[[PendingCommit], None]
"""Must be quick, and not fail: it is called where commits land."""


class TypeMeter:
    """What is counted of one agent type."""

    __slots__ = ("commands", "outcomes", "spans", "waits")

    def __init__(self, spans: SpanHook | None = None) -> None:
        self.spans = spans
        """Told of each commit that brings a `traceparent`."""
        self.outcomes: dict[str, int] = {}
        """Commits by their outcome."""
        self.waits: tuple[Histogram, ...] = tuple(Histogram() for _ in LANES)
        """Seconds from stored to decided, by the lane's place."""
        self.commands: dict[str, Histogram] = {}
        """Seconds that handlers of commands took, by the command's name."""

    def committed(self, commits: Sequence[PendingCommit]) -> None:
        """They are stored."""
        outcomes, waits = self.outcomes, self.waits
        for pending in commits:
            commit, queued = pending.commit, pending.queued
            if commit.command.traceparent and self.spans is not None:
                self.spans(pending)
            outcome = commit.outcome
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            micros = (commit.wall or commit.time.micros) - queued.delivery.time // 1_000
            seconds = micros * 1e-6 if micros > 0 else 0.0
            times = waits[queued.lane]  # `observe`, without its call
            times.counts[bisect_left(BOUNDS, seconds)] += 1
            times.sum += seconds

    def times_of(self, name: str) -> Histogram:
        """Where the times of this command's handler are counted."""
        if len(self.commands) >= NAMES_MAX:
            name = "other"
        return self.commands.setdefault(name, Histogram())


class Meter:
    """One a host."""

    def __init__(self) -> None:
        self._spans: SpanHook | None = None
        self.types: dict[str, TypeMeter] = {}
        self.work: dict[Kind, Histogram] = {}
        """Seconds that queries and folds kept the loop."""
        self.appends: dict[str, Histogram] = {}
        """Seconds that appends took, by journal: those that found none in flight, and batches."""

    def of(self, type: str) -> TypeMeter:
        """What is counted of this agent type."""
        return self.types.setdefault(type, TypeMeter(self._spans))

    def tell(self, spans: SpanHook | None) -> None:
        """Tell `spans` of commits that bring a `traceparent`, from now on."""
        self._spans = spans
        for counted in self.types.values():
            counted.spans = spans

    def appends_to(self, stream: str) -> Histogram:
        """What is counted of the appends to this journal."""
        return self.appends.setdefault(stream, Histogram())

    def worked(self, work: Work, seconds: float) -> None:
        """A query was answered, or a part of a history folded."""
        note = work.noted()
        key = note.kind, note.agent.partition("/")[0], note.name if note.kind == "query" else ""
        times = self.work.get(key)
        if times is None:
            if len(self.work) >= NAMES_MAX:
                key = note.kind, "other", ""
            times = self.work.setdefault(key, Histogram())
        times.observe(seconds)


class TimedWork(Running):
    """`Running` whose work is timed; the one that it stands before is told all the same."""

    def __init__(self, before: Running, meter: Meter) -> None:
        self._before = before
        self._meter = meter
        self._started = 0.0
        self._work: Work | None = None

    @property
    def work(self) -> Work | None:
        """What runs now."""
        return self._work

    @work.setter
    def work(self, work: Work | None) -> None:
        self._before.work = work
        done, self._work = self._work, work
        if work is not None:
            self._started = time.perf_counter()
        elif done is not None:
            self._meter.worked(done, time.perf_counter() - self._started)


class TimedCommands(Running):
    """The same for the commands of one agent type: on the hot path, and written for it."""

    def __init__(self, before: Running, meter: TypeMeter) -> None:
        self._before = before
        self._meter = meter
        self._commands = meter.commands
        self._started = 0.0
        self._work: Work | None = None

    @property
    def work(self) -> Work | None:
        """What runs now."""
        return self._work

    @work.setter
    def work(self, work: Work | None) -> None:
        self._before.work = work
        done, self._work = self._work, work
        if work is not None:
            self._started = time.perf_counter()
            return
        seconds = time.perf_counter() - self._started
        assert isinstance(done, QueuedCommand) and done.envelope is not None
        name = done.envelope.name
        times = self._commands.get(name)
        if times is None:
            times = self._meter.times_of(name)
        times.counts[bisect_left(BOUNDS, seconds)] += 1  # `observe`, without its call
        times.sum += seconds
