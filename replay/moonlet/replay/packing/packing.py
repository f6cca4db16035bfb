"""Choosing agents and taking their whole histories: the same format as of a whole server.

What is taken: their commits, outcomes that stand apart, the registry. What is left out: commands
that wait, snapshots, leases, connection settings. So there are no secrets in it but those that
somebody wrote into a message.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay.causes import Lookup, effects, why
from moonlet.replay.sources import HistorySource
from moonlet.simulations.bundle import Bundle, Held
from moonlet.streams import (
    Bus,
    StoredMessage,
    Subjects,
    next_message,
    server_facts,
    stands_apart,
    stream_facts,
)

REGISTRY: Final = "registry"


async def chosen_by_pattern(source: HistorySource, patterns: Iterable[str]) -> set[AgentId]:
    """The agents whose ids a pattern fits, like `account/alice` or `order/*`; raises `Invalid`."""
    there = await source.agents()
    found: set[AgentId] = set()
    for pattern in patterns:
        fits = {agent for agent in there if fnmatchcase(str(agent), pattern)}
        if not fits:
            raise Invalid(f"no agent of {source.description} is {pattern}: see `moonlet agents`")
        found |= fits
    return found


async def chosen_by_cause(lookup: Lookup, commits: Iterable[Commit[Any]]) -> set[AgentId]:
    """All agents on the way to these commits, and all that something reached from them."""
    found: set[AgentId] = set()
    for commit in commits:
        chain = await why(lookup, commit)
        found |= {AgentId.parse(step.commit.agent) for step in chain}
        waiting = [await effects(lookup, chain[-1].commit)]
        while waiting:
            node = waiting.pop()
            waiting += node.following
            if node.commit is not None:
                found.add(AgentId.parse(node.agent))
    return found


async def pack(bus: Bus, agents: set[AgentId]) -> Bundle:
    """Take these agents' histories from a server, as they stand now; hosts may go on meanwhile.

    Each journal is read up to where it ended when this began. Raises `Unavailable`.
    """
    topology = bus.topology
    ends = {}
    for stream in topology.journal_streams:
        ends[stream] = await stream_facts(bus, stream)
    streams: list[Held] = []
    digests: set[str] = set()
    for stream, facts in ends.items():
        if facts is None:
            raise Invalid(f"there is no journal {stream} on {bus.description}: start a host first")
        messages: list[StoredMessage] = []
        for agent in sorted(a for a in agents if topology.journal_of(a.type) == stream):
            messages += await _raw(bus, stream, bus.subjects.journal(agent), facts.last)
        messages.sort(key=lambda message: message.sequence)
        digests |= {message.data.decode() for message in messages if stands_apart(message)}
        streams.append(Held(stream, facts.config, facts.created, facts.first, facts.last, messages))
    taken = max((facts.time for facts in ends.values() if facts is not None), default=0)
    for name in (topology.stream("outcomes"), topology.bucket(REGISTRY)):
        facts = await stream_facts(bus, name)
        if facts is None:
            continue
        found = await _raw(bus, name, ">", facts.last)
        if name == topology.stream("outcomes"):
            found = [each for each in found if _digest_of(each.subject) in digests]
        streams.append(Held(name, facts.config, facts.created, facts.first, facts.last, found))
    times = [message.time for held in streams for message in held.messages]
    server = await server_facts(bus)
    topology = msgspec.structs.replace(topology, replicas=1)
    return Bundle(max([taken, *times]), str(server["version"]), topology, streams)


def pack_of(bundle: Bundle, agents: set[AgentId]) -> Bundle:
    """The same of a bundle."""
    subjects = Subjects(bundle.topology.prefix)
    journals = set(bundle.topology.journal_streams)
    kept = {subjects.journal(agent) for agent in agents}
    apart = bundle.topology.stream("outcomes")
    digests = {
        message.data.decode(errors="replace")
        for held in bundle.streams
        for message in held.messages
        if message.subject in kept and stands_apart(message)
    }
    streams = []
    for held in bundle.streams:
        if held.name in journals:
            messages = [message for message in held.messages if message.subject in kept]
        elif held.name == apart:
            messages = [each for each in held.messages if _digest_of(each.subject) in digests]
        elif held.name == bundle.topology.bucket(REGISTRY):
            messages = held.messages
        else:
            continue
        streams.append(msgspec.structs.replace(held, messages=messages))
    return msgspec.structs.replace(bundle, streams=streams)


def _digest_of(subject: str) -> str:
    return subject.split(".")[-2] if subject.count(".") > 1 else ""


async def _raw(bus: Bus, stream: str, subject: str, last: int) -> list[StoredMessage]:
    """Messages as they are stored, records that stand apart left apart."""
    found: list[StoredMessage] = []
    start = 1
    while True:
        message = await next_message(bus, stream, subject, start=start)
        if message is None or message.sequence > last:
            return found
        found.append(message)
        start = message.sequence + 1
