"""Faults in how lines of logs are kept, and what they say."""

from tests.faults.fault import Fault

KEPT = "tests/telemetry/test_kept_logs.py::"
DAYS = "tests/telemetry/test_kept_days.py::"
HOSTS = "tests/telemetry/test_host_logs.py::"

LOG_FAULTS: tuple[Fault, ...] = (
    Fault(
        "telemetry",
        KEPT + "test_of_a_full_queue_the_lowest_level_goes_first_and_is_counted",
        "of a full queue goes what comes last, whatever it is",
        (
            (
                "telemetry/moonlet/telemetry/kept/lines_waiting.py",
                "for lines in self._levels[:step]:",
                "for lines in self._levels[:0]:",
            ),
        ),
    ),
    Fault(
        "telemetry",
        KEPT + "test_a_full_disk_loses_debug_lines_alone_and_counts_them",
        "what could not be written is not tried again",
        (
            (
                "telemetry/moonlet/telemetry/kept/keeper.py",
                "self._waiting.put_back(lines)",
                "self._waiting.put_back([])",
            ),
        ),
    ),
    Fault(
        "telemetry",
        KEPT + "test_no_secret_is_kept_or_written",
        "secrets are known by the names of facts alone",
        (
            (
                "telemetry/moonlet/telemetry/redaction.py",
                "    for pattern, instead in _LOOKS:",
                "    for pattern, instead in _LOOKS[:0]:",
            ),
        ),
    ),
    Fault(
        "telemetry",
        DAYS + "test_lines_of_one_moment_and_late_ones_keep_their_times",
        "a line that came late has another's time",
        (
            (
                "telemetry/moonlet/telemetry/kept/day_file.py",
                "numbered.append((last, *row[1:], last - micros))",
                "numbered.append((last, *row[1:], 0))",
            ),
        ),
    ),
    Fault(
        "telemetry",
        HOSTS + "test_a_line_says_which_command_was_decided_where",
        "lines don't say which command is decided",
        (
            (
                "agents/moonlet/agents/hosting/log_facts.py",
                "work = self._running.work if",
                "work = None if",
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/telemetry/test_top.py::test_rates_and_times_are_those_between_two_looks",
        "times are those since a host began",
        (
            (
                "console/moonlet/console/top/reading.py",
                "counts = [a - b for a, b in zip(last.counts, first.counts, strict=True)]",
                "counts = list(last.counts)",
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/telemetry/test_top.py::"
        "test_a_host_tells_its_figures_and_is_told_who_looks_into_an_alert",
        "who acknowledges is not noted",
        (
            (
                "agents/moonlet/agents/hosting/telling.py",
                "judged.acknowledge(asked.rule, asked.by)",
                'judged.acknowledge(asked.rule, "")',
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/telemetry/test_dashboard.py::"
        "test_each_metric_and_label_of_it_is_told_and_each_metric_has_a_panel",
        "a panel groups by a label that no metric has",
        (
            (
                "telemetry/moonlet/telemetry/dashboard/panel.py",
                "sum by (type) (moonlet_mailbox_waiting)",
                "sum by (type, lane) (moonlet_mailbox_waiting)",
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/telemetry/test_live_spans.py::"
        "test_they_are_those_of_the_journal_over_agents_and_hosts",
        "what an agent causes brings its caller's span on, not its own",
        (
            (
                "telemetry/moonlet/telemetry/spans.py",
                "return write_traceparent(trace, span_id(agent, revision), sampled=parent.sampled)",
                "return write_traceparent(trace, parent.span, sampled=parent.sampled)",
            ),
        ),
    ),
    Fault(
        "telemetry",
        HOSTS + "test_lines_of_worlds_go_nowhere",
        "lines of worlds are written and kept",
        (
            (
                "simulations/moonlet/simulations/scenario.py",
                'restore_levels({"": logging.CRITICAL})',
                "restore_levels(before)",
            ),
        ),
    ),
)
