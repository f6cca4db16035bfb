"""How fast commands are, from the histograms of hosts' metrics."""

import re
from typing import Any, Final

from moonlet.telemetry.metrics.histogram import quantile_of

_SAMPLE: Final = re.compile(r"moonlet_command_seconds_(bucket|sum|count)\{(.*)\}")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

COMMANDS_MAX: Final = 200
"""Commands that are told of, the slowest first."""


def speeds(samples: list[list[Any]]) -> list[dict[str, Any]]:
    """By agent type and command: how many, and mean, p50, p95, p99 in seconds, the slowest first.

    Of several hosts the counts are added up.
    """
    counts: dict[tuple[str, str], dict[str, float]] = {}
    sums: dict[tuple[str, str], float] = {}
    for name, value in samples:
        found = _SAMPLE.fullmatch(name)
        if found is None:
            continue
        labels = dict(_LABEL.findall(found[2]))
        key = labels.get("type", ""), labels.get("command", "")
        if found[1] == "bucket":
            at = counts.setdefault(key, {})
            at[labels["le"]] = at.get(labels["le"], 0.0) + float(value)
        elif found[1] == "sum":
            sums[key] = sums.get(key, 0.0) + float(value)
    rows = [_row(key, at, sums.get(key, 0.0)) for key, at in counts.items()]
    return sorted(rows, key=lambda row: -row["p99"])[:COMMANDS_MAX]


def _row(key: tuple[str, str], at: dict[str, float], total: float) -> dict[str, Any]:
    upto = [at[bound] for bound in sorted(at, key=float)]  # cumulative, +Inf the last
    apart = [int(here - before) for before, here in zip([0.0, *upto], upto, strict=False)]
    count = int(upto[-1])
    shares = {f"p{share}": quantile_of(apart, share / 100) for share in (50, 95, 99)}
    mean = total / count if count else 0.0
    return {"type": key[0], "command": key[1], "count": count, "mean": mean, **shares}
