"""Where a command reads histories: a server, or with --bundle a file."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from moonlet.agents import AgentType
from moonlet.console.common import Found, Options, opened
from moonlet.console.replay.index_file import point_of_id
from moonlet.core.errors import Invalid, UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.replay import (
    BundleSource,
    HistorySource,
    Point,
    ServerSource,
    TimeText,
    parse_moment,
    parse_point,
    resolve,
)
from moonlet.streams import Bus

POINT: Final = "AGENT, AGENT@REVISION, AGENT@TIME, STREAM:SEQUENCE, or a command's id."

PointArgument = Annotated[str, typer.Argument(metavar="POINT", help=POINT)]
BundleFile = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FILE", help="Read this bundle, and no server."),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        help="As of this time: 2026-03-11T08:00:00 (UTC) or with +01:00, 08:45 of the day that is"
        " looked at, or -5m.",
    ),
]


def time_option(text: str) -> TimeText:
    """What `--time` says; raises `Invalid` that names it."""
    try:
        return parse_moment(text)
    except Invalid as error:
        raise Invalid(f"--time {text}: {error}") from None


class Reading:
    """A source that is open; `bus` is None if it is a file."""

    def __init__(
        self, source: HistorySource, bus: Bus | None, options: Options | None = None
    ) -> None:
        self.source = source
        self.bus = bus
        self._options = options

    async def point(self, text: str, time: str | None = None) -> Point:
        """The point of a text, or of an agent at a time; raises `Invalid`."""
        moment = time_option(time) if time is not None else None
        said = parse_point(text)
        if said.kind == "id" and moment is None and self._options is not None:
            found = await point_of_id(self._options, self.source, said.id)
            if found is not None:
                return found
        return await resolve(self.source, said, moment=moment)


@asynccontextmanager
async def reading(
    options: Options, bundle: Path | None, types: Iterable[AgentType[Any]] = ()
) -> AsyncIterator[Reading]:
    """Open what the options name; raises as `opened` and `read_bundle` do."""
    if bundle is not None:
        if options.url is not None or options.context is not None:
            raise Invalid("--bundle reads a file: leave --url and --context out")
        from moonlet.simulations.bundle import read_bundle  # simulations: 100 ms

        yield Reading(BundleSource(read_bundle(bundle)[0], str(bundle)), None)
        return
    async with opened(options, types) as session:
        bus = session.moon.bus
        yield Reading(ServerSource(bus), bus, options)


def code_of(types: Found, agent: AgentId) -> AgentType[Any]:
    """The agent's type; raises `UnknownAgentType` that says where to look."""
    found = types.get(agent.type)
    if found is None:
        raise UnknownAgentType(
            f"the code of agent type {agent.type} is not known here (known:"
            f" {', '.join(sorted(types))}): name its module with --module MODULE[:NAME]"
        )
    return found
