"""`agents`: who has a journal, and which versions of the code run them."""

from moonlet.console.common import Options, command, opened, table
from moonlet.streams import Bus, Leases, stream_facts, subject_counts


@command
async def agents(options: Options) -> None:
    """List the agents that have a journal, with how many commits each has."""
    async with opened(options) as session:
        bus = session.moon.bus
        counts, foreign = await count_commits(bus)
        versions = await _versions(bus) if counts else {}
    run_in = {agent: versions.get(agent.partition("/")[0], []) for agent in counts}
    rows = [
        ("AGENT", "COMMITS", "VERSION" if versions else ""),
        *((agent, f"{count:,}", ", ".join(run_in[agent])) for agent, count in counts.items()),
    ]
    lines = table(rows, right=(1,))
    if not options.output.json and counts:
        options.output.result({}, lines[0])
    for (agent, count), line in zip(counts.items(), lines[1:], strict=True):
        record = {"agent": agent, "commits": count, "versions": run_in[agent]}
        options.output.result(record, line)
    if not counts:
        options.output.remark("no agent has a commit here yet: send one with `moonlet tell`")
    if foreign:
        options.output.remark(
            f"{len(foreign)} subjects in the journals are no agent's: see `moonlet doctor`"
        )


async def _versions(bus: Bus) -> dict[str, list[str]]:
    """The application's versions that living hosts run now, by agent type; sorted."""
    found: dict[str, set[str]] = {}
    if await stream_facts(bus, bus.topology.bucket("leases")) is not None:
        for host in await Leases(bus, 1).hosts():
            for name, version in host.versions.items():
                found.setdefault(name, set()).add(version)
    return {name: sorted(versions) for name, versions in found.items()}


async def count_commits(bus: Bus) -> tuple[dict[str, int], list[str]]:
    """Commits by agent, sorted by agent, and the subjects in the journals that are no agent's."""
    counts: dict[str, int] = {}
    foreign: list[str] = []
    for stream in bus.topology.journal_streams:
        if await stream_facts(bus, stream) is None:
            continue
        for subject, count in (await subject_counts(bus, stream)).items():
            agent = bus.subjects.journal_agent(subject)
            if agent is None:
                foreign.append(subject)
            else:
                counts[str(agent)] = count
    return dict(sorted(counts.items())), foreign
