"""The registry of replicas: who holds which view, and how far it is on disk.

One key per replica in the bucket `registry`, without a time to live: a replica that is away for a
year is still one. Removing it is an explicit act, and does it no harm.
"""

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import MoonletError
from moonlet.streams import Bucket, Bus, Entry, StreamGone
from moonlet.telemetry import get_logger

log = get_logger(__name__)


class Enrolled(msgspec.Struct, frozen=True):
    """What a replica said last: `durable` is how far its file is in each journal that it folds,
    `time` in µs since 1970.

    `standing` is `running`, `paused`, `closed`, or the name of the error that stopped it.
    """

    replica: str
    view: str
    version: int
    durable: dict[str, int]
    standing: str
    time: int


_CODEC = Codec[Enrolled](Enrolled, "json")


class Roster:
    """Reader and writer of the replicas' keys."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket = Bucket(bus, bus.topology.bucket("registry"))

    async def enroll(self, entry: Enrolled) -> bool:
        """Write a replica's entry; False if that failed: it is said again."""
        try:
            await self._bucket.put(_key(entry.view, entry.replica), _CODEC.encode(entry))
        except MoonletError as error:
            log.info("a replica could not be registered", view=entry.view, error=str(error))
            return False
        return True

    async def replicas(self, view: str = "*") -> list[Enrolled]:
        """The replicas of one view or of all, sorted by view and name; none without a registry."""
        try:
            entries = await self._bucket.entries(f"view.{view}.*")
        except StreamGone:
            return []  # no host was here yet, which creates it
        return [replica for entry in entries if (replica := _read(entry)) is not None]

    async def dismiss(self, view: str, replica: str) -> None:
        """Remove a replica that won't come back; one that does enrolls itself again."""
        await self._bucket.delete(_key(view, replica))


def _read(entry: Entry) -> Enrolled | None:
    """None for what no replica wrote."""
    try:
        replica = _CODEC.decode(entry.value)
    except MoonletError as error:
        log.warning("a registry entry can't be read", key=entry.key, error=str(error))
        return None
    return replica if entry.key == _key(replica.view, replica.replica) else None


def _key(view: str, replica: str) -> str:
    return f"view.{view}.{replica}"
