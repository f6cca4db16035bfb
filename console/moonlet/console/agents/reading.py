"""`agents`, `history` and `state`: what the journals hold."""

from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from moonlet.agents import fold_of
from moonlet.console.agents.sending import Agent
from moonlet.console.common import Modules, Options, command, compact, find, opened, pretty, table
from moonlet.core.commit import Commit, Effect, plain
from moonlet.core.digest import state_digest
from moonlet.core.errors import Invalid, UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.streams import Bus, Leases, ParkedStacks, stream_facts, subject_counts

COLORS = {"accepted": "green", "rejected": "yellow", "expired": "yellow", "parked": "red"}


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


@command
async def history(
    options: Options,
    agent: Agent,
    first: Annotated[int, typer.Option("--from", help="First revision.", min=1)] = 1,
    last: Annotated[int | None, typer.Option("--to", help="Last revision.", min=1)] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for further commits.")] = False,
) -> None:
    """Print an agent's commits, oldest first; --from and --to are inclusive."""
    target = AgentId.parse(agent)
    count = 0
    async with opened(options) as session:
        commits = session.moon.history(str(target), from_=first, to=last, follow=follow)
        stacks = ParkedStacks(session.moon.bus, target)
        async with aclosing(commits):
            async for commit in commits:
                count += 1
                stack = await stacks.of(commit)
                record = {**plain(commit), "traceback": stack} if stack else plain(commit)
                options.output.result(record, in_words(commit, stack))
    if not count:
        between = "" if first == 1 and last is None else f" from {first} to {last or 'the end'}"
        options.output.remark(
            f"{agent} has no commits{between}: `moonlet agents` lists those that have"
        )


def in_words(commit: Commit[Any], stack: str = "") -> str:
    """A commit as text: a line for the command, one for each event and effect, and the reply.

    Of a parked one also the traceback of its handler.
    """
    command = commit.command
    outcome = typer.style(f"{commit.outcome:<8}", fg=COLORS[commit.outcome])
    moment = commit.time.datetime.isoformat(sep=" ", timespec="milliseconds")
    head = typer.style(f"{commit.revision:>6}", bold=True)
    name = typer.style(command.name, bold=True)
    sender = f"  from {command.sender}" if "/" in command.sender else ""
    lines = [f"{head}  {moment.removesuffix('+00:00')}  {outcome}  {name} "]
    lines[0] += f"{compact(command.body)}{sender}"
    if commit.reason:
        lines.append(f"why    {commit.reason}")
    lines += [f"       {line}" for line in stack.splitlines()]
    lines += [f"event  {event.name} {compact(event.body)}" for event in commit.events]
    lines += [_effect(effect) for effect in commit.effects]
    if commit.reply is not None:
        lines.append(f"reply  {compact(commit.reply)}")
    return "\n        ".join(lines)


def _effect(effect: Effect[Any]) -> str:
    message = effect.message
    said = f"{message.name} {compact(message.body)}".strip() if message is not None else ""
    match effect.kind:
        case "send":
            return f"send   {effect.target} ({effect.lane}) {said}"
        case "publish":
            return f"publish  {effect.target} {said}"
        case "schedule":
            due = datetime.fromtimestamp(effect.due / 1_000_000, UTC)
            return f"timer  {effect.target} at {due.isoformat(timespec='milliseconds')} {said}"
        case "cancel":
            return f"cancel {effect.target}"
        case "perform":
            return f"call   {said}"


@command
async def state(
    options: Options,
    agent: Agent,
    revision: Annotated[
        int | None, typer.Option(help="After this revision; 0 is the initial state.", min=0)
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="As of this time, like 2026-03-11T08:00:00 (UTC) or +01:00.")
    ] = None,
    module: Modules = None,
) -> None:
    """Print an agent's state, replayed from its commits: the newest, or an earlier one."""
    target = AgentId.parse(agent)
    moment = _moment(time) if time is not None else None
    types = find(module)
    agent_type = types.get(target.type)
    if agent_type is None:
        raise UnknownAgentType(
            f"the code of agent type {target.type} is not known here (known:"
            f" {', '.join(sorted(types))}): name its module with --module MODULE[:NAME]"
        )
    async with opened(options, types.values()) as session:
        bus = session.moon.bus
        fold = await fold_of(bus, agent_type, target, revision=revision, time=moment)
    if not fold.revision and revision != 0:
        by_then = f" by {moment.isoformat()}" if moment is not None else ""
        options.output.remark(f"{agent} has no commits{by_then}: this is its initial state")
    shown = plain_state(fold.state)
    record = {
        "agent": agent,
        "revision": fold.revision,
        "sequence": fold.sequence,
        "time": fold.time.datetime.isoformat() if fold.revision else None,
        "digest": state_digest(fold.state),
        "state": shown,
    }
    options.output.result(record, pretty(shown))


def plain_state(state: Any) -> Any:
    """A state as plain data that JSON can show."""
    if hasattr(state, "model_dump"):
        return state.model_dump(mode="json")
    return msgspec.to_builtins(state, str_keys=True)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"--time {text}: write it like 2026-03-11T08:00:00, in UTC or with its offset"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
