"""Faults in what hosts tell of themselves."""

from tests.faults.fault import Fault

METRICS = "tests/telemetry/test_metrics.py::"

TELEMETRY_FAULTS: tuple[Fault, ...] = (
    Fault(
        "telemetry",
        METRICS + "test_a_host_whose_server_was_killed_is_not_ready_and_healthy_again_after",
        "a host without its server says that it is ready",
        (
            (
                "agents/moonlet/agents/hosting/host_pages.py",
                "if not host.services.bus.connected:",
                "if False:",
            ),
            (
                "agents/moonlet/agents/hosting/host_pages.py",
                "elif not host.lease_holds:",
                "elif False:",
            ),
        ),
    ),
    Fault(
        "telemetry",
        METRICS + "test_a_host_tells_what_it_did_and_no_keys",
        "labels hold agents' keys",
        (
            (
                "agents/moonlet/agents/services/meter.py",
                "name = done.envelope.name",
                "name = done.envelope.agent",
            ),
        ),
    ),
    Fault(
        "telemetry",
        METRICS + "test_whatever_is_asked_is_answered_and_the_next_one_too",
        "a web page may read a host's pages by a name of its own",
        (
            (
                "telemetry/moonlet/telemetry/metrics/endpoint.py",
                "if not _is_for_us(fields):",
                "if False:",
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/telemetry/test_alerts.py::test_each_rule_fires_once_when_it_has_held_and_clears_once",
        "an alert fires at once, however long it has to hold",
        (
            (
                "telemetry/moonlet/telemetry/alerts/judge.py",
                "if now - alert.since < alert.rule.hold:",
                "if False:",
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/telemetry/test_alert_watch.py::test_an_alert_fires_and_clears_in_virtual_time",
        "what grew once has grown for ever",
        (
            (
                "telemetry/moonlet/telemetry/alerts/series.py",
                "while self._past and self._past[0][0] < now - rule.window:",
                "while False:",
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/telemetry/test_logs.py::test_the_nearest_module_with_a_level_decides_and_at_once",
        "a level set while it runs is for loggers to come",
        (
            (
                "telemetry/moonlet/telemetry/loggers.py",
                "        _levels[module] = number_of(level)\n    for logger in _loggers.values():",
                "        _levels[module] = number_of(level)\n    for logger in ():",
            ),
        ),
    ),
    Fault(
        "telemetry",
        "tests/replay/test_otlp.py::test_a_conversation_without_end_is_many_traces",
        "a conversation is one trace, however long it goes on",
        (
            (
                "replay/moonlet/replay/causes/otlp.py",
                'if cause.kind == "timer" or counts[before.trace] >= SPANS_MAX:',
                'if cause.kind == "timer":',
            ),
        ),
    ),
)
