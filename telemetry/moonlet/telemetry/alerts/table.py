"""The rules that come with the framework: all of a host's own, over what it tells as metrics."""

from typing import Final

from moonlet.telemetry.alerts.rule import AlertRule

RULES: Final = (
    AlertRule(
        name="server-away", metric="moonlet_server_connected", how="below", threshold=1, hold=10,
        severity="critical", meaning="The host can't reach its server.",
        fix="See whether the server runs and answers (moonlet doctor); the host goes on by itself"
        " when it does.",
    ),
    AlertRule(
        name="lease-lost", metric="moonlet_lease_seconds_left", how="below", threshold=0.001,
        hold=5, severity="critical",
        meaning="The host's lease ran out and is not renewed: its agents are, or soon will be,"
        " another's.",
        fix="See whether the server answers, and whether something keeps the host's loop (the log"
        " names it).",
    ),
    AlertRule(
        name="host-failed", metric="moonlet_host_failed", how="above", threshold=0,
        severity="critical", meaning="A background task of the host died.",
        fix="Keep the log, restart the host, and report the bug.",
    ),
    AlertRule(
        name="journal-stuck", metric="moonlet_journal_stuck", how="above", threshold=0, hold=10,
        severity="critical", meaning="A journal takes no commits.",
        fix="Make room on the server's disk or raise the stream's limit; see the server's log.",
    ),
    AlertRule(
        name="commands-wait", metric="moonlet_command_wait_seconds", how="p99", threshold=1.0,
        window=300, hold=60, severity="warning",
        meaning="One in a hundred commands waits over a second before it is decided.",
        fix="See which agents are busy (moonlet waiting, and /metrics), start more hosts, or give"
        " what is urgent a higher lane.",
    ),
    AlertRule(
        name="commands-parked", metric="moonlet_parked_total", how="increase", threshold=0,
        window=600, severity="warning", meaning="Commands were parked.",
        fix="See why: moonlet parked list, moonlet parked show; mend the handler, then retry.",
    ),
    AlertRule(
        name="slow-handler", metric="moonlet_command_seconds", how="p99", threshold=0.1,
        window=300, severity="warning",
        meaning="A handler keeps its host's loop for over 0.1 s.",
        fix="Let it decide less at once, or move the work into a call (Perform).",
    ),
    AlertRule(
        name="loop-lags", metric="moonlet_loop_lag_seconds", how="p99", threshold=0.25,
        window=300, hold=60, severity="warning",
        meaning="The host's loop comes late to what is due: it has too much to do, or something"
        " blocks it.",
        fix="See which command takes the time (moonlet_command_seconds) and what the log names;"
        " start more hosts.",
    ),
    AlertRule(
        name="many-waiting", metric="moonlet_mailbox_waiting", how="above", threshold=10_000,
        hold=60, severity="warning", meaning="Over ten thousand commands wait in one host.",
        fix="Start more hosts; see which agents they are for: moonlet waiting.",
    ),
    AlertRule(
        name="many-conflicts", metric="moonlet_conflicts_total", how="increase", threshold=20,
        window=300, severity="warning",
        meaning="Appends lose to other commits again and again: two hosts take themselves for the"
        " owner, or somebody writes to the journal.",
        fix="See who may write to it (moonlet doctor), and whether hosts' clocks or leases jump.",
    ),
    AlertRule(
        name="many-takeovers", metric="moonlet_takeovers_total", how="increase", threshold=8,
        window=600, severity="warning",
        meaning="Partitions were taken over again and again: hosts die, or lose their leases.",
        fix="See why hosts end (their logs), and whether they are starved of processor time.",
    ),
    AlertRule(
        name="alarm", metric="moonlet_alarms_total", how="increase", threshold=0, window=600,
        severity="warning", meaning="The host raised an alarm, named by the label.",
        fix="docs/operations.md says what each means, and what to do.",
    ),
)  # fmt: skip
"""In the order of the page for operators."""
