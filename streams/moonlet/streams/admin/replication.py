"""How a stream is replicated, as its leader sees it."""

import msgspec

from moonlet.streams.bus import Bus


class Replication(msgspec.Struct, frozen=True):
    """`asked` is what the stream's configuration says; `alive` counts replicas that are here.

    `leader` is a server's name, empty while there is none, and where there is no cluster. `missing`
    are the replicas' servers that are gone or behind, sorted.
    """

    asked: int
    alive: int
    leader: str = ""
    missing: tuple[str, ...] = ()


async def replication_of(bus: Bus, stream: str) -> Replication | None:
    """The replicas of a stream; None if there is no such stream."""
    info = await bus._js.stream_info(stream)
    if info is None:
        return None
    asked = int(info["config"].get("num_replicas", 1))
    cluster = info.get("cluster")
    if cluster is None:
        return Replication(asked, 1)
    peers = cluster.get("replicas") or []
    missing = sorted(p["name"] for p in peers if p.get("offline") or not p.get("current"))
    leader = cluster.get("leader", "")
    alive = bool(leader) + len(peers) - len(missing)
    return Replication(asked, alive, leader, tuple(missing))
