"""`alerts`: the rules, what fires, who looks into it, and files for Prometheus."""

import getpass
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.agents import Mute, gather, living_hosts
from moonlet.console.common import Options, alert_settings, command, opened, table
from moonlet.core.errors import Invalid, InvalidSettings, NoHost
from moonlet.telemetry.alerts import RULES, changed_rules, rules_file, rules_tests
from moonlet.telemetry.dashboard import PANELS, dashboard, provider

RULES_FILE: Final = "moonlet.rules.yml"
TESTS_FILE: Final = "moonlet.rules.test.yml"
BOARD_FILE: Final = "moonlet.dashboard.json"
PROVIDER_FILE: Final = "moonlet.provider.yml"

_SPAN: Final = re.compile(r"(\d{1,6})(s|m|h)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600}


@command
async def alerts(
    options: Options,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[now | history | ack RULE | silence RULE TIME]",
            help="now: what fires. ack: somebody looks into it, so nobody is called until it has"
            " cleared. silence: call nobody for so long (10m, 2h; 0s ends it). Else the rules.",
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="Who acknowledges or silences. Default: you.")] = "",
    prometheus: Annotated[
        Path | None,
        typer.Option(
            help=f"Write {RULES_FILE} and its unit tests for promtool to this folder.",
            metavar="FOLDER",
        ),
    ] = None,
    grafana: Annotated[
        Path | None,
        typer.Option(
            help=f"Write {BOARD_FILE}, and {PROVIDER_FILE} that has it loaded, to this folder.",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """The rules of alerts, with what [tool.moonlet.alerts] of ./pyproject.toml changes."""
    match words or []:
        case [] if grafana is not None:
            texts = {BOARD_FILE: dashboard(PANELS), PROVIDER_FILE: provider(str(grafana.resolve()))}
            _write(options, grafana, texts, "provisioning/dashboards takes the second")
        case [] if prometheus is not None:
            rules = changed_rules(RULES, alert_settings())
            texts = {RULES_FILE: rules_file(rules), TESTS_FILE: rules_tests(rules, RULES_FILE)}
            _write(options, prometheus, texts, f"promtool test rules {TESTS_FILE}")
        case []:
            _rules(options)
        case ["now"]:
            await _told(options, "firing")
        case ["history"]:
            await _told(options, "change")
        case ["ack", rule]:
            await _mute(options, Mute(rule, "ack", by or _who()))
        case ["silence", rule, text]:
            await _mute(options, Mute(rule, "silence", by or _who(), _seconds(text)))
        case _:
            raise Invalid("write `moonlet alerts`, or behind it now, history, ack RULE, or silence"
                          " RULE TIME")  # fmt: skip


async def _told(options: Options, kind: str) -> None:
    """What fires, or what has changed, on all hosts, the newest last."""
    async with opened(options) as session:
        bus = session.moon.bus
        answer = await gather(bus, "alerts", hosts=await living_hosts(bus))
    for trouble in answer.troubles:
        options.output.remark(trouble)
    found = [
        {"host": host, **item}
        for host, items in answer.items.items()
        for item in items
        if isinstance(item, dict) and item.get("is") == kind
    ]
    found.sort(key=lambda item: -float(item.get("ago", 0)))
    for item in found:
        options.output.result(item, _line(item))
    if not found:
        options.output.remark("nothing fires" if kind == "firing" else "nothing has fired")


def _line(item: dict[str, Any]) -> str:
    words = [f"{_ago(float(item['ago'])):>9} ago", f"{item['severity']:<8}", str(item["rule"])]
    if item["is"] == "change":
        words.append(str(item["what"]))
    words.append(f"{item['value']:.4g} ({item['threshold']:.4g})")
    words.append(f"on {item['host']}")
    words += [", ".join(f"{k}={v}" for k, v in each.items()) for each in item["labels"] if each]
    if item.get("acknowledged") or item.get("by"):
        words.append(f"acknowledged by {item.get('acknowledged') or item.get('by')}")
    if item.get("silent"):
        words.append(f"silent for {_ago(float(item['silent']))}")
    return "  ".join(words) + ("" if item["is"] == "change" else f"\n            {item['fix']}")


async def _mute(options: Options, mute: Mute) -> None:
    if mute.rule not in {rule.name for rule in RULES}:
        raise Invalid(f"no rule {mute.rule!r:.80}: there are {', '.join(r.name for r in RULES)}")
    async with opened(options) as session:
        bus = session.moon.bus
        hosts = await living_hosts(bus)
        answer = await gather(bus, "mute", msgspec.json.encode(mute), hosts=hosts)
    done = sorted(host for host, items in answer.items.items() if items)
    for trouble in answer.troubles:
        options.output.remark(trouble)
    if not done:
        if not hosts:
            raise NoHost("no host runs now")
        raise Invalid(f"no host took it: {'; '.join(answer.troubles) or 'none answered'}")
    what = "acknowledged" if mute.do == "ack" else f"silent for {_ago(mute.seconds)}"
    record = {"rule": mute.rule, "do": mute.do, "by": mute.by, "hosts": done}
    options.output.result(record, f"{mute.rule}: {what} on {', '.join(done)}, by {mute.by}")


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = "somebody"
    return f"{user}@{socket.gethostname()}"[:200]


def _seconds(text: str) -> float:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise Invalid(f"{text!r:.80} is no time: write 90s, 10m or 2h")
    return float(int(match[1]) * _UNITS[match[2]])


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def _rules(options: Options) -> None:
    rules = changed_rules(RULES, alert_settings())
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


def _write(options: Options, folder: Path, texts: dict[str, str], hint: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        raise InvalidSettings(f"{folder} can't be written: {error}") from None
    written = [str(folder / name) for name in texts]
    options.output.result({"files": written}, "\n".join(written) + f"  ({hint})")
