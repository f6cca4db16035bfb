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
from moonlet.core.errors import Invalid, LimitExceeded
from moonlet.core.ids import AgentId
from moonlet.replay.causes import Lookup, effects, why
from moonlet.replay.sources import HistorySource
from moonlet.simulations.bundle import PLAIN_MAX, Bundle, Held
from moonlet.streams import (
    Bus,
    StoredMessage,
    StreamFacts,
    Subjects,
    next_message,
    read_page,
    server_facts,
    stands_apart,
    stream_facts,
)

REGISTRY: Final = "registry"

PAGE: Final = 500
"""Messages that are asked for at once."""


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

    Each journal is read up to where it ended when this began. Raises `Unavailable`, and
    `LimitExceeded` for more than a bundle holds.
    """
    topology, subjects = bus.topology, bus.subjects
    ends = {}
    for stream in topology.journal_streams:
        ends[stream] = await stream_facts(bus, stream)
    taking = _Taking(bus)
    streams: list[Held] = []
    digests: set[str] = set()
    for stream, facts in ends.items():
        if facts is None:
            raise Invalid(f"there is no journal {stream} on {bus.description}: start a host first")
        own = sorted(a for a in agents if topology.journal_of(a.type) == stream)
        streams.append(await taking.held(facts, [subjects.journal(agent) for agent in own]))
        digests |= {m.data.decode() for m in streams[-1].messages if stands_apart(m)}
    taken = max((facts.time for facts in ends.values() if facts is not None), default=0)
    for name, wanted in (
        (topology.stream("outcomes"), [subjects.blobs(digest) for digest in sorted(digests)]),
        (topology.bucket(REGISTRY), [">"]),
    ):
        facts = await stream_facts(bus, name)
        if facts is not None:
            streams.append(await taking.held(facts, wanted))
    times = [message.time for held in streams for message in held.messages]
    server = await server_facts(bus)
    topology = msgspec.structs.replace(topology, replicas=1)
    return Bundle(max([taken, *times]), str(server["version"]), topology, streams)


class _Taking:
    """Reads messages as they are stored, records that stand apart left apart, within a bound."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bytes = 0

    async def held(self, facts: StreamFacts, subjects: list[str]) -> Held:
        """The stream with what it has of these subjects; raises `LimitExceeded`."""
        messages: list[StoredMessage] = []
        for subject in subjects:
            messages += await self._messages(facts, subject)
        messages.sort(key=lambda message: message.sequence)
        return Held(facts.name, facts.config, facts.created, facts.first, facts.last, messages)

    async def _messages(self, facts: StreamFacts, subject: str) -> list[StoredMessage]:
        direct = bool(facts.config.get("allow_direct"))
        found: list[StoredMessage] = []
        start = max(facts.first, 1)
        while start <= facts.last:
            page: list[StoredMessage] = []
            if direct:
                page = await read_page(self._bus, facts.name, subject, start=start, most=PAGE)
            if not page:  # a replica that lags has no more: the leader may have
                one = await next_message(self._bus, facts.name, subject, start=start)
                if one is None:
                    break
                page = [one]
            found += [message for message in page if message.sequence <= facts.last]
            start = page[-1].sequence + 1
            self._count(page)
        return found

    def _count(self, page: list[StoredMessage]) -> None:
        self._bytes += sum(len(message.data) for message in page)
        if self._bytes > PLAIN_MAX:
            raise LimitExceeded(
                f"these agents have more than {PLAIN_MAX:,} bytes: a bundle holds no more, choose"
                " fewer of them",
                limit=PLAIN_MAX,
                value=self._bytes,
            )


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
