"""An agent type whose handlers ask for what they may not, on demand; and one that asks inside."""

import contextlib
import logging

import msgspec

from moonlet.agents import AgentType, Decision, Perform, Reply
from tests.simulations.probes import ALL

PROBES = {probe.name: probe.reach for probe in ALL}


class Ask(msgspec.Struct, frozen=True):
    """Ask here: `in_command`, or in the event's handler; or where a call is performed."""

    probe: str
    where: str = "command"


class Asked(msgspec.Struct, frozen=True):
    probe: str = ""


class Look(msgspec.Struct, frozen=True):
    probe: str


class Stamped(msgspec.Struct, frozen=True):
    """A query that is stamped as it is made, also when the owner decodes it: by no handler."""

    def __post_init__(self) -> None:
        PROBES["time.time"]()


class Work(msgspec.Struct, frozen=True):
    probe: str


class Worked(msgspec.Struct, frozen=True):
    found: str


class Asks(msgspec.Struct, frozen=True):
    count: int = 0


asking = AgentType("asking", Asks, partitions=1)


@asking.on_command
def ask(state: Asks, command: Ask) -> Decision:
    if command.where == "command":
        PROBES[command.probe]()
    if command.where == "swallowed":
        with contextlib.suppress(Exception):
            PROBES[command.probe]()
    if command.where == "log":
        logging.getLogger("asking").warning("asked for %s", command.probe)
    if command.where == "work":
        yield Perform(Work(command.probe))
    yield Asked(command.probe if command.where == "event" else "")
    yield Reply("asked")


@asking.on_command
def worked(state: Asks, command: Worked) -> Decision:
    yield Asked()


@asking.on_event
def asked(state: Asks, event: Asked) -> Asks:
    if event.probe:
        PROBES[event.probe]()
    return Asks(state.count + 1)


@asking.on_query
def look(state: Asks, query: Look) -> int:
    if query.probe:
        PROBES[query.probe]()
    return state.count


@asking.on_query
def read(state: Asks, query: Stamped) -> int:
    return state.count


@asking.on_perform
async def work(call: Work) -> Worked:
    return Worked(repr(PROBES[call.probe]()))
