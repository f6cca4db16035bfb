"""What two looks at the hosts' metrics say of the time between them."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from moonlet.telemetry.metrics import Family, Histogram
from moonlet.telemetry.metrics.histogram import quantile_of

QUANTILES: Final = (0.5, 0.95, 0.99)


class Times(msgspec.Struct, frozen=True):
    """Quantiles, in seconds; None if there was nothing in that time."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class TypeRow(msgspec.Struct, frozen=True):
    """An agent type, over all hosts. Rates are per second, `busy` the share of one core that its
    handlers took, `wait` from stored to decided, `handler` the time of handlers of commands.
    """

    type: str
    commands: float
    rejected: float
    expired: float
    parked: float
    busy: float
    wait: Times
    handler: Times
    agents: int
    waiting: int
    timers: int
    calls: int


class CommandRow(msgspec.Struct, frozen=True):
    """A command of an agent type: how often in a second, and the time of its handler."""

    type: str
    command: str
    commands: float
    busy: float
    handler: Times


class HostRow(msgspec.Struct, frozen=True):
    """A host. `cpu` is the share of one core, `lag` how late its loop was (99th percentile)."""

    host: str
    partitions: int
    agents: int
    commands: float
    cpu: float | None
    memory: int | None
    lag: float | None
    lease_left: float
    alarms: int
    takeovers: int
    measured: bool


Look = Mapping[str, list[Family]]
"""The metrics of each host, by its id."""


def type_rows(before: Look, now: Look, seconds: float) -> list[TypeRow]:
    """The agent types that hosts run, the busiest first."""
    totals = _Totals(before, now, seconds)
    rows = []
    for name in sorted(totals.values("moonlet_partition_owned", "type") | totals.types()):
        of_type = {"type": name}
        outcomes = {
            outcome: totals.rate("moonlet_commits_total", {**of_type, "outcome": outcome})
            for outcome in ("rejected", "expired", "parked")
        }
        handler = totals.grown("moonlet_command_seconds", of_type)
        rows.append(
            TypeRow(
                type=name,
                commands=totals.rate("moonlet_commits_total", of_type),
                **outcomes,
                busy=handler.sum / seconds,
                wait=times_of(totals.grown("moonlet_command_wait_seconds", of_type)),
                handler=times_of(handler),
                agents=int(totals.stands("moonlet_agents", of_type)),
                waiting=int(totals.stands("moonlet_mailbox_waiting", of_type)),
                timers=int(totals.stands("moonlet_timers_open", of_type)),
                calls=int(totals.stands("moonlet_calls_open", of_type)),
            )
        )
    return sorted(rows, key=lambda row: (-row.busy, -row.commands, row.type))


def command_rows(before: Look, now: Look, seconds: float) -> list[CommandRow]:
    """The commands that handlers decided in that time, the busiest first."""
    totals = _Totals(before, now, seconds)
    found = {
        (labels["type"], labels["command"])
        for families in now.values()
        for labels, _ in _samples(families, "moonlet_command_seconds", {})
    }
    rows = []
    for type, command in sorted(found):
        grown = totals.grown("moonlet_command_seconds", {"type": type, "command": command})
        if grown.count:
            rate, busy = grown.count / seconds, grown.sum / seconds
            rows.append(CommandRow(type, command, rate, busy, times_of(grown)))
    return sorted(rows, key=lambda row: -row.busy)


def host_rows(before: Look, now: Look, seconds: float) -> list[HostRow]:
    """The hosts, by id."""
    rows = []
    for host, families in sorted(now.items()):
        alone = _Totals({host: before.get(host, families)}, {host: families}, seconds)
        lag = times_of(alone.grown("moonlet_loop_lag_seconds", {}))
        seen = host in before
        memory = alone.stands("process_resident_memory_bytes", {})
        rows.append(
            HostRow(
                host=host,
                partitions=int(alone.stands("moonlet_partition_owned", {})),
                agents=int(alone.stands("moonlet_agents", {})),
                commands=alone.rate("moonlet_commits_total", {}),
                cpu=alone.rate("process_cpu_seconds_total", {}) if seen else None,
                memory=int(memory) or None,
                lag=lag.p99,
                lease_left=alone.stands("moonlet_lease_seconds_left", {}),
                alarms=int(alone.stands("moonlet_alarms_total", {})),
                takeovers=int(alone.stands("moonlet_takeovers_total", {})),
                measured=any(family.name == "moonlet_commits_total" for family in families),
            )
        )
    return rows


def times_of(histogram: Histogram) -> Times:
    """Its quantiles."""
    if not histogram.count:
        return Times()
    return Times(*(quantile_of(histogram.counts, q) for q in QUANTILES))


class _Totals:
    """Sums over all hosts. A host that was not seen before counts from now on only."""

    def __init__(self, before: Look, now: Look, seconds: float) -> None:
        self._pairs = [(before.get(host, found), found) for host, found in now.items()]
        self._seconds = max(seconds, 1e-6)

    def types(self) -> set[str]:
        return self.values("moonlet_agents", "type") | self.values("moonlet_commits_total", "type")

    def values(self, metric: str, label: str) -> set[str]:
        return {labels[label] for _, now in self._pairs for labels, _ in _samples(now, metric, {})}

    def stands(self, metric: str, wanted: Mapping[str, str]) -> float:
        return sum(_sum(now, metric, wanted) for _, now in self._pairs)

    def rate(self, metric: str, wanted: Mapping[str, str]) -> float:
        grown = sum(
            max(0.0, _sum(now, metric, wanted) - _sum(before, metric, wanted))
            for before, now in self._pairs
        )
        return grown / self._seconds

    def grown(self, metric: str, wanted: Mapping[str, str]) -> Histogram:
        total = Histogram()
        for before, now in self._pairs:
            last, first = _merged(now, metric, wanted), _merged(before, metric, wanted)
            counts = [a - b for a, b in zip(last.counts, first.counts, strict=True)]
            if min(counts) < 0:  # it began anew, under the same id
                counts, first = last.counts, Histogram()
            total.counts = [a + b for a, b in zip(total.counts, counts, strict=True)]
            total.sum += last.sum - first.sum
        return total


def _samples(
    families: list[Family], metric: str, wanted: Mapping[str, str]
) -> list[tuple[dict[str, str], Any]]:
    return [
        (labels, sample.value)
        for family in families
        if family.name == metric
        for sample in family.samples
        if wanted.items() <= (labels := dict(sample.labels)).items()
    ]


def _sum(families: list[Family], metric: str, wanted: Mapping[str, str]) -> float:
    return float(sum(value for _, value in _samples(families, metric, wanted)))


def _merged(families: list[Family], metric: str, wanted: Mapping[str, str]) -> Histogram:
    total = Histogram()
    for _, value in _samples(families, metric, wanted):
        total.add(value)
    return total
