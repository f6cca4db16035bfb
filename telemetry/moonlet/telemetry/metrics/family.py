"""A metric as it is read: its name, what it means, and its values by label."""

from typing import Literal, NamedTuple

from moonlet.telemetry.metrics.histogram import Histogram

Labels = tuple[tuple[str, str], ...]
"""Names and values, in order. Never an agent's key: there are as many as there are users."""


class Sample(NamedTuple):
    """One value, or the counts of one histogram."""

    labels: Labels
    value: "float | Histogram"


class Family(NamedTuple):
    """All samples of one metric; `name` with its unit, and `_total` if it is a counter."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[Sample]

    @property
    def total(self) -> float:
        """The sum of its values; of a histogram, how many there were."""
        return sum(
            sample.value.count if isinstance(sample.value, Histogram) else sample.value
            for sample in self.samples
        )


def family(
    name: str,
    kind: Literal["counter", "gauge", "histogram"],
    help: str,
    *samples: "tuple[dict[str, str], float | Histogram]",
) -> Family:
    """A family of these samples."""
    found = [Sample(tuple(labels.items()), value) for labels, value in samples]
    return Family(name, kind, help, found)
