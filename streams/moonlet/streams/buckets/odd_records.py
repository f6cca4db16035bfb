"""What stands in a bucket and is no record of ours: it is passed over, and named.

Whoever may write to a bucket could else stop all hosts with one byte that they can't read.
"""

from typing import Final

from moonlet.core.errors import Corrupt
from moonlet.streams.buckets.kv import Entry
from moonlet.telemetry import get_logger

log = get_logger(__name__)

NAMED_MAX: Final = 1_000
"""Keys that are remembered as named; that there are more is said once, and of these no key."""


class OddRecords:
    """Those of one bucket. `found` says of each key why it is none, as it was seen last."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._named: dict[str, int] = {}
        self._has_more = False
        self.found: dict[str, str] = {}

    def name(self, entry: Entry, why: object) -> None:
        """Say once, for each time that it is written, that an entry is passed over."""
        if entry.key not in self._named and len(self._named) >= NAMED_MAX:
            if not self._has_more:
                self._has_more = True
                log.error("more foreign records are ignored, unnamed", bucket=self._bucket)
            return
        self.found[entry.key] = str(why)
        if self._named.get(entry.key) != entry.revision:
            self._named[entry.key] = entry.revision
            log.error(
                "a foreign record is ignored", bucket=self._bucket, key=entry.key, why=str(why)
            )

    def corrupt(self, entry: Entry, why: object) -> Corrupt:
        """The error for who can't do without the record."""
        return Corrupt(
            f"{self._bucket} has at {entry.key} what is no record of ours ({why}): find out who"
            " writes there, then restore the record, or delete it if it was never there before",
            stream=self._bucket,
            sequence=entry.revision,
        )
