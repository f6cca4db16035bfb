"""The topology of a system that is older than its record: what its streams show of it."""

from typing import Any, Final

from moonlet.core.errors import InvalidId, PermissionDenied, Unavailable
from moonlet.core.ids import check_name
from moonlet.streams.api import ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.topology import CATCH_ALL, Topology

PREFIX: Final = "moon"


async def find_topology(bus: Bus, prefix: str = PREFIX) -> Topology | None:
    """What the streams of `prefix` say of journals, replicas and bounds; None if it has no journal.

    None too where a journal's subjects are none that a topology gives (`plan` then says what is
    wrong), and for a user who may not ask for streams. Raises `Unavailable`.
    """
    js = bus._js
    try:
        names = await js.stream_names()
        journals: dict[str, list[str]] = {}
        replicas: list[int] = []
        head = f"{prefix}-journal-"
        for name in names:
            info = await js.stream_info(name) if name.startswith(head) else None
            if info is None:
                continue
            types = _types(info["config"], prefix)
            if not types:
                return None
            journals[check_name(name.removeprefix(head), "journal")] = types
            replicas.append(int(info["config"].get("num_replicas", 1)))
        if not journals:
            return None
        default = Topology(journals=journals, prefix=prefix)
        mailbox = await _bound(bus, default.stream("mailboxes"), "max_msgs_per_subject")
        internal = await _bound(bus, default.stream("internal"), "max_msgs")
    except (PermissionDenied, InvalidId):
        return None
    except ServerRefused as error:
        raise Unavailable(
            f"the server's journals can't be listed: {error.description}; try again when its"
            " JetStream is up"
        ) from None
    return Topology(
        journals,
        prefix,
        replicas=max(replicas),
        mailbox=mailbox or default.mailbox,
        internal=internal or default.internal,
    )


async def _bound(bus: Bus, stream: str, setting: str) -> int:
    """A bound of a stream; 0 if there is no such stream, or no bound."""
    info = await bus._js.stream_info(stream)
    return 0 if info is None else max(0, int(info["config"].get(setting, 0)))


def _types(config: dict[str, Any], prefix: str) -> list[str]:
    """The agent types of a journal's subjects; none if they are not a topology's."""
    subjects: list[str] = config.get("subjects") or []
    if subjects == [f"{prefix}.evt.>"]:
        return [CATCH_ALL]
    types = []
    for subject in subjects:
        match subject.removeprefix(f"{prefix}.evt.").split("."):
            case [type_, "*"] if type_ != CATCH_ALL:
                types.append(check_name(type_, "agent type"))
            case _:
                return []
    return types
