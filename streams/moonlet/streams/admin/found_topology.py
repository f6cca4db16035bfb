"""The topology that stands on a server already: what whoever isn't told one goes by."""

from typing import Any, Final

from moonlet.core.errors import InvalidId, PermissionDenied, Unavailable
from moonlet.core.ids import check_name
from moonlet.streams.api import ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.topology import CATCH_ALL, Topology

PREFIX: Final = "moon"


async def find_topology(bus: Bus, prefix: str = PREFIX) -> Topology | None:
    """The journals that `prefix` has on the server, all else by default; None if it has none.

    None too where a journal's subjects are none that a topology gives (`plan` then says what is
    wrong), and for a user who may not ask for streams. Raises `Unavailable`.
    """
    js = bus._js
    try:
        names = await js.stream_names()
        journals: dict[str, list[str]] = {}
        head = f"{prefix}-journal-"
        for name in names:
            info = await js.stream_info(name) if name.startswith(head) else None
            if info is None:
                continue
            types = _types(info["config"], prefix)
            if not types:
                return None
            journals[check_name(name.removeprefix(head), "journal")] = types
    except (PermissionDenied, InvalidId):
        return None
    except ServerRefused as error:
        raise Unavailable(
            f"the server's journals can't be listed: {error.description}; try again when its"
            " JetStream is up"
        ) from None
    return Topology(journals=journals, prefix=prefix) if journals else None


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
