"""The checks of who is there: hosts that run, and what others than Moonlet wrote."""

from typing import Final

from moonlet.console.common import counted
from moonlet.console.doctor.finding import Finding
from moonlet.core.errors import MoonletError
from moonlet.streams import (
    OWNER_CONTROL,
    Bus,
    Home,
    HostLease,
    Leases,
    Question,
    Registry,
    decode_answer,
    encode_question,
    foreign_commands,
    foreign_commits,
    foreign_subjects,
    last_message,
    subject_counts,
)

SHOWN: Final = 5
"""How many foreign subjects or messages are named."""


class PresenceChecks:
    """Who is there, and who should not be. `streams` are the server's.

    `is_ours`: this process runs the server, so no host can be there.
    """

    def __init__(self, bus: Bus, streams: list[str], *, is_ours: bool) -> None:
        self._bus = bus
        self._streams = streams
        self._is_ours = is_ours

    async def _homes(self) -> dict[str, Home]:
        """The registered agent types, and where their agents are."""
        if self._bus.topology.bucket("registry") not in self._streams:
            return {}
        return await Registry(self._bus).types()

    async def hosts(self) -> list[Finding]:
        """Which agent types somebody runs; a type that nobody runs is a warning."""
        if self._bus.topology.bucket("registry") not in self._streams:
            return [Finding("hosts", "OK", "no agent type is registered: no host was here yet")]
        homes = await self._homes()
        hosts = await Leases(self._bus, 1).hosts()
        run = {name for host in hosts for name in host.types}
        idle = sorted(set(homes) - run)
        types = counted(len(homes), "agent type")
        said = f"{counted(len(hosts), 'host')} here, for {len(run)} of {types}"
        if not idle or self._is_ours:
            return [Finding("hosts", "OK", said), *_clocks(hosts)]
        fix = f"start a host for {', '.join(idle)}: `moonlet run MODULE`"
        return [Finding("hosts", "WARN", said, fix), *_clocks(hosts)]

    async def foreign_records(self) -> list[Finding]:
        """Records in the buckets of leases and types that hosts pass over."""
        leases, registry = Leases(self._bus, 1), Registry(self._bus)
        found: list[str] = []
        for name, odd, read in (
            ("leases", leases.odd, leases.look),
            ("registry", registry.odd, registry.types),
            ("registry", registry.odd, registry.stopped),
        ):
            if self._bus.topology.bucket(name) in self._streams:
                await read()
                found += [f"{key} in {name}: {why}" for key, why in odd.found.items()]
                odd.found.clear()
        if not found:
            return [Finding("foreign records", "OK", "every record is a host's")]
        fix = "find out who writes there and take the permission away; hosts ignore it"
        return [Finding("foreign records", "WARN", f"{len(found)}: {_some(found)}", fix)]

    async def foreign_subjects(self) -> list[Finding]:
        """Subjects in our streams that are no agent's."""
        topology = self._bus.topology
        found: list[str] = []
        homes = await self._homes()
        names = [*topology.journal_streams]
        names += [topology.stream(n) for n in ("mailboxes", "internal", "timers", "snapshots")]
        names += [topology.stream("parked")]
        for name in names:
            if name in self._streams:
                found += [
                    f"{subject} in {name}"
                    for subject in await foreign_subjects(self._bus, name, homes)
                ]
        if not found:
            return [Finding("foreign subjects", "OK", "every subject is an agent's")]
        said = f"{len(found)} are no agent's: {_some(found)}"
        fix = "find out who publishes there and take the permission away; nobody will read them"
        return [Finding("foreign subjects", "WARN", said, fix)]

    async def foreign_messages(self) -> list[Finding]:
        """Messages on good subjects that are none of ours; a sample, `verify` reads all."""
        bus, topology = self._bus, self._bus.topology
        found = []
        for name in topology.journal_streams:
            if name in self._streams:
                found += await foreign_commits(bus, name)
        journals = len(found)
        for name in (topology.stream("mailboxes"), topology.stream("internal")):
            if name in self._streams:
                found += await foreign_commands(bus, name)
        if not found:
            said = "the last commits and the first waiting commands are all ours"
            return [Finding("foreign messages", "OK", said)]
        told = [f"{f.stream} {f.sequence} on {f.subject}: {f.reason}" for f in found]
        if journals:
            fix = "run `moonlet verify`; give nobody but hosts the right to publish to the journal"
            return [Finding("foreign messages", "FAIL", _some(told), fix)]
        fix = "find out who publishes there: each will be parked"
        return [Finding("foreign messages", "WARN", _some(told), fix)]

    async def journals(self) -> list[Finding]:
        """Whether commits are taken: asked of the owner of each journal's last agent."""
        bus, found = self._bus, []
        homes = await self._homes()
        for name in bus.topology.journal_streams:
            if name not in self._streams:
                continue
            last = await last_message(bus, name, f"{bus.subjects.prefix}.evt.>")
            agent = None if last is None else bus.subjects.journal_agent(last.subject)
            if agent is None or agent.type not in homes:
                continue
            subject = bus.subjects.owner(OWNER_CONTROL, agent, homes[agent.type])
            question = Question(agent=str(agent), id="doctor", name="status")
            data, headers = encode_question(question, "json")
            try:
                answer = await bus.request(subject, data, headers=headers, timeout=2.0)
                status = decode_answer(answer.data, answer.headers).reply
            except MoonletError:
                continue  # nobody runs it: `hosts` tells
            if isinstance(status, dict) and status.get("error"):
                found.append(f"{agent}: {status['error']}")
        if not found:
            return [Finding("journals", "OK", "no owner of a last commit complains")]
        fix = "do what it says; on a full disk nothing is decided until there is room"
        return [Finding("journals", "FAIL", "; ".join(found), fix)]

    async def parked(self) -> list[Finding]:
        """What waits for somebody to look at it."""
        name = self._bus.topology.stream("parked")
        if name not in self._streams:
            return [Finding("parked", "OK", "nothing")]
        counts = await subject_counts(self._bus, name)
        total = sum(counts.values())
        if not total:
            return [Finding("parked", "OK", "nothing")]
        agents = [subject.rpartition(".parked.")[2].replace(".", "/") for subject in counts]
        said = f"{total:,} in all, of {_some(agents)}"
        fix = "see why in `moonlet history AGENT`, mend the handler, send them again"
        return [Finding("parked", "WARN", said, fix)]


def _some(found: list[str]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def _clocks(hosts: list[HostLease]) -> list[Finding]:
    """Hosts whose clocks are too far off for them to take partitions that another can have."""
    off = [f"{host.host} by {host.clock_off:+.0f} s" for host in hosts if host.clock_off]
    if not off:
        return []
    fix = "mend the clocks of their machines (NTP); if all are off, it is the server's"
    return [Finding("hosts", "WARN", f"clocks are off: {_some(off)}", fix)]
