"""Metrics: plain numbers in the objects that have them, read when somebody scrapes."""

from moonlet.telemetry.metrics.endpoint import Endpoint, PageText
from moonlet.telemetry.metrics.exposition import CONTENT_TYPE, exposition
from moonlet.telemetry.metrics.family import Family, Labels, Sample, family
from moonlet.telemetry.metrics.histogram import BOUNDS, Histogram
from moonlet.telemetry.metrics.plain import families_of, plain_families

__all__ = [
    "BOUNDS",
    "CONTENT_TYPE",
    "Endpoint",
    "Family",
    "Histogram",
    "Labels",
    "PageText",
    "Sample",
    "exposition",
    "families_of",
    "family",
    "plain_families",
]
