"""Metrics as plain data, for a message, and back."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from moonlet.core.errors import Invalid
from moonlet.telemetry.metrics.family import Family, Sample
from moonlet.telemetry.metrics.histogram import BOUNDS, Histogram


class PlainSample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value; of a histogram its counts by step, and `value` is their sum."""

    labels: dict[str, str]
    value: float
    counts: list[int] = []


class PlainFamily(msgspec.Struct, frozen=True):
    """All samples of one metric."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    samples: list[PlainSample]


def plain_families(families: Iterable[Family]) -> list[PlainFamily]:
    """What JSON takes; `families_of` gives it back."""
    return [
        PlainFamily(family.name, family.kind, [_plain(sample) for sample in family.samples])
        for family in families
    ]


def families_of(plain: Any) -> list[Family]:
    """The metrics that another process told; raises `Invalid`."""
    try:
        told = msgspec.convert(plain, list[PlainFamily])
    except msgspec.ValidationError as error:
        raise Invalid(
            f"a host's metrics can't be read ({error}): run one version of Moonlet"
        ) from None
    return [
        Family(each.name, each.kind, "", [_sample(each, sample) for sample in each.samples])
        for each in told
    ]


def _plain(sample: Sample) -> PlainSample:
    value = sample.value
    if isinstance(value, Histogram):
        return PlainSample(dict(sample.labels), value.sum, list(value.counts))
    return PlainSample(dict(sample.labels), value)


def _sample(family: PlainFamily, plain: PlainSample) -> Sample:
    labels = tuple(plain.labels.items())
    if family.kind != "histogram":
        return Sample(labels, plain.value)
    if len(plain.counts) != len(BOUNDS) + 1:
        raise Invalid(f"{family.name} has other steps than ours: run one version of Moonlet")
    histogram = Histogram()
    histogram.counts, histogram.sum = plain.counts, plain.value
    return Sample(labels, histogram)
