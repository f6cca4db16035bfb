"""The panels: what is drawn, what it means, and what to do when it looks wrong."""

from typing import Final, NamedTuple

RATE: Final = "$__rate_interval"
"""What Grafana puts in: four scrapes at least."""


class MetricPanel(NamedTuple):
    """`queries` by the text that names their lines, in which `{{label}}` is a label's value."""

    title: str
    unit: str
    queries: dict[str, str]
    meaning: str
    fix: str


def _quantile(q: float, metric: str, by: str) -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket[{RATE}])))"


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[{RATE}]))"


_WAIT: Final = "moonlet_command_wait_seconds"

PANELS: Final = (
    MetricPanel(
        "Commits", "ops",
        {"{{type}} {{outcome}}": _rate("moonlet_commits_total", "type, outcome")},
        "Commands that were decided, by outcome.",
        "Many refusals are the agents' own doing: `moonlet history AGENT` names the reasons.",
    ),
    MetricPanel(
        "Waiting to be decided", "s",
        {f"{{{{type}}}} p{int(q * 100)}": _quantile(q, _WAIT, "type") for q in (0.5, 0.95, 0.99)},
        "From stored to decided; the first to grow when hosts don't keep up.",
        "Start more hosts; see which agents are busy: `moonlet top`, `moonlet waiting`.",
    ),
    MetricPanel(
        "Waiting by lane, p99", "s", {"{{lane}}": _quantile(0.99, _WAIT, "lane")},
        "Critical overtakes; low may wait.",
        "Give what is urgent a higher lane.",
    ),
    MetricPanel(
        "Commands in memory", "short",
        {"{{type}}": "sum by (type) (moonlet_mailbox_waiting)"},
        "Commands that reached a host and are not decided.",
        "As for waiting.",
    ),
    MetricPanel(
        "Handlers, p99", "s",
        {"{{type}} {{command}}": "topk(10, "
         f"{_quantile(0.99, 'moonlet_command_seconds', 'type, command')})"},
        "The ten slowest handlers; while one runs nothing else of its host does.",
        "Decide less at once, or move the work into a call (`Perform`).",
    ),
    MetricPanel(
        "Handlers, share of a core", "percentunit",
        {"{{type}}": _rate("moonlet_command_seconds_sum", "type"),
         "{{type}} queries": _rate("moonlet_query_seconds_sum", "type"),
         "{{type}} folds": _rate("moonlet_fold_seconds_sum", "type")},
        "What each agent type takes of processor time: commands, queries, coming back.",
        "Folds that stay high: agents come and go; raise `max_agents` or `idle_after`.",
    ),
    MetricPanel(
        "Appends", "s",
        {f"{{{{journal}}}} p{int(q * 100)}": _quantile(q, "moonlet_append_seconds", "journal")
         for q in (0.5, 0.99)},
        "Until the server has acknowledged a commit: the disk, mostly.",
        "See the server's disk; `moonlet doctor` says whether it syncs.",
    ),
    MetricPanel(
        "Parked", "short",
        {"{{type}}": "sum by (type) (increase(moonlet_parked_total[1h]))"},
        "Commands that could not be decided, in the last hour.",
        "`moonlet parked list` and `show`; mend the handler, then `retry`.",
    ),
    MetricPanel(
        "Agents", "short", {"{{type}} {{status}}": "sum by (type, status) (moonlet_agents)"},
        "Agents in memory; recovering ones come back from their journals.",
        "Stopped ones that nobody stopped: `moonlet waiting AGENT` says why.",
    ),
    MetricPanel(
        "Partitions without one owner", "short",
        {"{{type}} {{partition}}": "sum by (type, partition) (moonlet_partition_owned) != 1"},
        "Empty is right. Two owners for longer than a scrape are none of ours to have.",
        "See whether all hosts are scraped, and their clocks: `moonlet doctor`.",
    ),
    MetricPanel(
        "Takeovers and conflicts", "short",
        {"takeovers": "sum(increase(moonlet_takeovers_total[10m]))",
         "claims": "sum(increase(moonlet_claims_total[10m]))",
         "conflicts": "sum(increase(moonlet_conflicts_total[10m]))"},
        "Partitions that changed hands, and appends that lost, in ten minutes.",
        "Takeovers without a deploy: hosts die, `moonlet logs \"taken over\" --hosts`.",
    ),
    MetricPanel(
        "Leases and connections", "s",
        {"{{instance}} lease": "min by (instance) (moonlet_lease_seconds_left)",
         "{{instance}} connected": "min by (instance) (moonlet_server_connected)",
         "{{instance}} reconnects": "sum by (instance) (increase(moonlet_reconnects_total[10m]))"},
        "A lease at 0 is another's soon.",
        "See whether the server answers, and what keeps the host's loop.",
    ),
    MetricPanel(
        "Loop lag, p99", "s",
        {"{{instance}}": _quantile(0.99, "moonlet_loop_lag_seconds", "instance")},
        "How late a host's loop comes to what is due.",
        "`moonlet top` names the command; `moonlet logs blocked` the handler and its line.",
    ),
    MetricPanel(
        "Alarms", "short",
        {"{{alarm}}": "sum by (alarm) (increase(moonlet_alarms_total[1h]))",
         "failed hosts": "sum(moonlet_host_failed)",
         "stuck journals": "sum(moonlet_journal_stuck)"},
        "What hosts say needs a person, in the last hour.",
        "Each is on this page.",
    ),
    MetricPanel(
        "Timers and calls", "short",
        {"{{type}} timers": "sum by (type) (moonlet_timers_open)",
         "{{type}} calls": "sum by (type) (moonlet_calls_open)"},
        "Open ones, of the agents in memory.",
        "Calls that grow: what they wait for outside doesn't answer.",
    ),
    MetricPanel(
        "Processor", "percentunit",
        {"{{instance}}": _rate("process_cpu_seconds_total", "instance")},
        "Share of one core that a host takes.",
        "Near 1: start another host.",
    ),
    MetricPanel(
        "Memory", "bytes", {"{{instance}}": "process_resident_memory_bytes"},
        "What a host holds.",
        "Lower `max_agents` or `idle_after`, or keep less in states.",
    ),
    MetricPanel(
        "Open files", "short", {"{{instance}}": "process_open_fds"},
        "Files and sockets of a host.",
        "If it grows without end, report the bug.",
    ),
)  # fmt: skip
