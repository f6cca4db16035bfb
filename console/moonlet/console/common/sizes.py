"""The options that say how large and how safe a system is to be: replicas, and bounds of queues."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from moonlet.core.errors import InvalidSettings
from moonlet.streams import Topology

Replicas = Annotated[
    int | None, typer.Option(help="On how many servers of a cluster each stream is kept, 1 to 5.")
]
Mailbox = Annotated[
    int | None, typer.Option(help="Waiting commands of one agent in one lane, at most.")
]
Internal = Annotated[
    int | None, typer.Option(help="Waiting messages that agents caused, of all agents, at most.")
]
Journals = Annotated[
    list[str] | None,
    typer.Option(
        "--journal",
        metavar="NAME=TYPE,...",
        help="A journal and its agent types, or NAME=* for all. Give all journals there are to be.",
    ),
]


def asked_topology(
    topology: Topology,
    replicas: int | None,
    mailbox: int | None,
    internal: int | None,
    journals: Sequence[str] | None = None,
) -> Topology:
    """`topology` with what was asked for; raises `InvalidSettings`."""
    sizes = {"replicas": replicas, "mailbox": mailbox, "internal": internal}
    changes: dict[str, object] = {name: size for name, size in sizes.items() if size is not None}
    if journals:
        changes["journals"] = dict(_journal(text) for text in journals)
    return msgspec.structs.replace(topology, **changes)


def _journal(text: str) -> tuple[str, list[str]]:
    name, equals, types = text.partition("=")
    found = [type_.strip() for type_ in types.split(",") if type_.strip()]
    if not equals or not found:
        raise InvalidSettings(
            f"--journal {text}: write it like money=fuel,bridge, or main=* for all agent types"
        )
    return name.strip(), found
