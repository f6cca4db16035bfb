"""All rows, in the order of the table."""

from tests.benchmarks import end_to_end, journal
from tests.benchmarks.rows import Work

WORKS: tuple[Work, ...] = (
    *end_to_end.WORKS,
    *journal.WORKS,
)
