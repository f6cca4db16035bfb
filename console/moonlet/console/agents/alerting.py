"""`alerts`: the rules that hosts judge by, as a table, or as files for Prometheus."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from moonlet.console.common import Options, alert_settings, command, table
from moonlet.core.errors import InvalidSettings
from moonlet.telemetry.alerts import RULES, changed_rules, rules_file, rules_tests

RULES_FILE: Final = "moonlet.rules.yml"
TESTS_FILE: Final = "moonlet.rules.test.yml"


@command
async def alerts(
    options: Options,
    prometheus: Annotated[
        Path | None,
        typer.Option(
            help=f"Write {RULES_FILE} and its unit tests for promtool to this folder.",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """The rules of alerts, with what [tool.moonlet.alerts] of ./pyproject.toml changes."""
    rules = changed_rules(RULES, alert_settings())
    if prometheus is None:
        rows = [
            (rule.name, "off" if rule.off else rule.severity, f"{rule.hold} s", rule.expression)
            for rule in rules
        ]
        lines = table([("rule", "severity", "for", "when"), *rows])
        for rule, line in zip((None, *rules), lines, strict=True):
            if rule is None:
                options.output.remark(line)
            else:
                record = {**msgspec.structs.asdict(rule), "expression": rule.expression}
                options.output.result(record, line)
        return
    try:
        prometheus.mkdir(parents=True, exist_ok=True)
        (prometheus / RULES_FILE).write_text(rules_file(rules), "utf-8")
        (prometheus / TESTS_FILE).write_text(rules_tests(rules, RULES_FILE), "utf-8")
    except OSError as error:
        raise InvalidSettings(f"{prometheus} can't be written: {error}") from None
    written = [str(prometheus / name) for name in (RULES_FILE, TESTS_FILE)]
    said = f"{written[0]}\n{written[1]}  (promtool test rules {TESTS_FILE})"
    options.output.result({"files": written}, said)
