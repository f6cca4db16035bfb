"""What a host tells of itself as metrics: read from its parts when somebody asks, kept nowhere."""

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from moonlet.agents.hosting.host import Host
from moonlet.agents.owner import OwnedPartition
from moonlet.core.ids import LANES
from moonlet.telemetry.metrics import Family, Sample, family

_WORK: Final = {
    "query": ("moonlet_query_seconds", "query", "Time of handlers of queries."),
    "fold": ("moonlet_fold_seconds", "", "Time of folds while agents are brought back."),
}


def figures(host: Host) -> list[Family]:
    """All metrics of a started host: one pass through the agents in memory.

    With 100,000 agents in memory that keeps the loop for some 30 ms.
    """
    return [*_commands(host), *_agents(host), *_host(host)]


def _commands(host: Host) -> list[Family]:
    meter = host.services.meter
    if meter is None:
        return []
    commits = family("moonlet_commits_total", "counter", "Commits, by outcome.")
    parked = family("moonlet_parked_total", "counter", "Commands that were parked.")
    waits = family(
        "moonlet_command_wait_seconds", "histogram", "From stored to decided, the server's time."
    )
    for type, counted in sorted(meter.types.items()):
        of_type = ("type", type)
        for outcome, count in sorted(counted.outcomes.items()):
            commits.samples.append(Sample((of_type, ("outcome", outcome)), count))
        parked.samples.append(Sample((of_type,), counted.outcomes.get("parked", 0)))
        for lane, times in zip(LANES, counted.waits, strict=True):
            if times.count:
                waits.samples.append(Sample((of_type, ("lane", lane)), times))
    commands = family("moonlet_command_seconds", "histogram", "Time of handlers of commands.")
    for type, counted in sorted(meter.types.items()):
        for name, times in sorted(counted.commands.items()):
            commands.samples.append(Sample((("type", type), ("command", name)), times))
    found = {kind: family(name, "histogram", help) for kind, (name, _, help) in _WORK.items()}
    for (kind, type, name), times in sorted(meter.work.items()):
        label = _WORK[kind][1]
        labels = (("type", type), (label, name)) if label else (("type", type),)
        found[kind].samples.append(Sample(labels, times))
    appends = family(
        "moonlet_append_seconds",
        "histogram",
        "Until an append was acknowledged: those that found none in flight, and batches.",
        *(({"journal": stream}, times) for stream, times in sorted(meter.appends.items())),
    )
    return [commits, parked, waits, commands, *found.values(), appends]


def _agents(host: Host) -> list[Family]:
    status: Counter[tuple[str, str]] = Counter()
    waiting: Counter[str] = Counter(dict.fromkeys(host.types, 0))
    timers: Counter[str] = Counter(dict.fromkeys(host.types, 0))
    calls: Counter[str] = Counter(dict.fromkeys(host.types, 0))
    for partition in host.owned:
        type = partition.agent_type.name
        _count(partition, status)
        for agent in partition.agents.values():
            waiting[type] += agent.queued + len(agent.held or ())
            if agent.fold is not None:
                timers[type] += len(agent.fold.timers)
                calls[type] += len(agent.fold.calls)

    def by_type(name: str, help: str, counted: Counter[str]) -> Family:
        samples = (({"type": type}, counted[type]) for type in sorted(counted))
        return family(name, "gauge", help, *samples)

    return [
        family(
            "moonlet_agents",
            "gauge",
            "Agents in memory, by what they are at.",
            *(({"type": type, "status": told}, n) for (type, told), n in sorted(status.items())),
        ),
        by_type("moonlet_mailbox_waiting", "Commands that came and wait to be decided.", waiting),
        by_type("moonlet_timers_open", "Open timers of the agents in memory.", timers),
        by_type("moonlet_calls_open", "Open calls of the agents in memory.", calls),
        family(
            "moonlet_partition_owned",
            "gauge",
            "1 for each partition that this host owns.",
            *(({"type": type, "partition": str(n)}, 1) for type, n in host.partitions),
        ),
    ]


def _count(partition: OwnedPartition, status: Counter[tuple[str, str]]) -> None:
    type = partition.agent_type.name
    for phase, n in Counter(agent.phase for agent in partition.agents.values()).items():
        status[type, phase.told] += n


def _host(host: Host) -> list[Family]:
    services = host.services
    alarms = (({"alarm": name}, count) for name, count in sorted(services.alarms.items()))
    stuck = sum(bool(partition.trouble) for partition in host.owned)
    return [
        family("moonlet_alarms_total", "counter", "Alarms, as they stand in the log.", *alarms),
        _one("moonlet_conflicts_total", "Appends that lost to another commit.",
             services.conflicts, counter=True),
        _one("moonlet_takeovers_total", "Partitions taken over from an owner that was gone.",
             services.takeovers, counter=True),
        _one("moonlet_claims_total", "Partitions claimed.", services.claims, counter=True),
        _one("moonlet_reconnects_total", "How often the server was away.",
             services.ends.reconnects, counter=True),
        _one("moonlet_server_connected", "1 while the server can be reached.",
             int(services.bus.connected)),
        _one("moonlet_lease_seconds_left", "Until the lease may have run out, by our clock.",
             host.lease_left),
        _one("moonlet_host_failed", "1 once a background task died.",
             int(host.failure is not None)),
        _one("moonlet_journal_stuck", "Partitions whose journal takes no commits.", stuck),
        family("moonlet_loop_lag_seconds", "histogram", "How late the loop came to what was due.",
               ({}, host.loop_lag)),
    ]  # fmt: skip


def _one(name: str, help: str, value: float, *, counter: bool = False) -> Family:
    return family(name, "counter" if counter else "gauge", help, ({}, value))


def process_figures() -> list[Family]:
    """What the process takes, by the names that Prometheus' own clients use."""
    found = [
        _one("process_cpu_seconds_total", "Processor time.", time.process_time(), counter=True)
    ]
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        size = float(pages * os.sysconf("SC_PAGE_SIZE"))
        found.append(_one("process_resident_memory_bytes", "Memory held.", size))
        files = len(os.listdir("/proc/self/fd"))
        found.append(_one("process_open_fds", "Open files and sockets.", files))
    return found
