"""What hosts have logged and kept, asked of all that run."""

from typing import Any, Final

import msgspec

from moonlet.agents import gather, living_hosts
from moonlet.core.errors import Invalid
from moonlet.telemetry.kept import LogLine, LogQuery
from moonlet.web.answers.standing import bus_of
from moonlet.web.reading import Parameters, SystemReader, brief, cut

LINES_MAX: Final = 300
"""Lines in one answer, the newest."""

FACT_MAX: Final = 4_000
"""Characters of one fact."""

LEVELS: Final = ("", "debug", "info", "warning", "error", "critical")


async def logs(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """Lines that have all words of `q`, of this `level` or more, `agent`, `correlation`."""
    bus = bus_of(reader)
    level = asked.text("level", "")
    if level not in LEVELS:
        raise Invalid(f"level {level!r:.40}: there are {', '.join(LEVELS[1:])}")
    given = {name: asked.text(name, "") for name in ("agent", "correlation")}
    agent, correlation = given["agent"], given["correlation"]
    query = LogQuery(
        text=asked.text("q", ""),
        level=level,
        agent=agent,
        correlation=correlation,
        limit=LINES_MAX,
    )
    hosts = await living_hosts(bus)
    answer = await gather(bus, "logs", msgspec.json.encode(query), hosts=hosts)
    try:
        lines = [msgspec.convert(e, LogLine) for each in answer.items.values() for e in each]
    except msgspec.ValidationError as error:
        raise Invalid(f"a host's lines can't be read ({error}): run one version") from None
    lines = list({(line.store, line.id): line for line in lines}.values())
    lines.sort(key=lambda line: (line.time, line.store, line.id))
    words = ["logs", "--hosts", *(text for text in (query.text,) if text)]
    for name, value in {"level": level, **given}.items():
        words += [f"--{name}", value] if value else []
    return {
        "lines": [_line(line) for line in lines[-LINES_MAX:]],
        "hosts": len(hosts),
        "troubles": [cut(each) for each in answer.troubles],
        "command": reader.system.command(*words),
    }


def _line(line: LogLine) -> dict[str, Any]:
    facts = {
        name: cut(value, FACT_MAX) if isinstance(value, str) else brief(value, FACT_MAX)
        for name, value in line.facts.items()
    }
    return {
        "time": line.time,
        "level": line.level,
        "module": cut(line.module),
        "event": cut(line.event, FACT_MAX),
        "agent": line.agent,
        "revision": line.revision,
        "correlation": line.correlation,
        "host": line.host,
        "facts": facts,
    }
