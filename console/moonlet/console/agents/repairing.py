"""`repair`: have what can't be read left out of histories, by a commit that says who and why."""

import getpass
from typing import Annotated, Any

import msgspec
import typer

from moonlet.agents import RepairPlan, Verification, plan_repair, repair
from moonlet.console.agents.verifying import JournalCheck
from moonlet.console.common import (
    ExitCode,
    Found,
    Modules,
    Options,
    Session,
    command,
    counted,
    find,
    opened,
    progress,
)
from moonlet.core.errors import Invalid, MoonletError, NoHost, UnknownAgentType
from moonlet.core.ids import AgentId

START_TIMEOUT = 5.0
"""Seconds that an agent's owner has to read it again."""

KEYS = ("type", "agent", "what", "event")
"""What `--where` may ask for."""


@command
async def repair_(
    options: Options,
    agent: Annotated[
        str | None, typer.Argument(help="One agent, like account/alice.", metavar="AGENT")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="All agents that can't be read and are of this type=, or this what= (record,"
            " events), or fail at this event=; several must all hold.",
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it. Without, it is only said what would be done.")
    ] = False,
    why: Annotated[str, typer.Option(help="Why; it stands in the repair for ever.")] = "",
    module: Modules = None,
) -> int:
    """Leave out of an agent's history what can't be read, and start the agent again.

    Nothing is edited: the repair is one more commit, which names what all readers pass over. Bytes
    that are no commit are left out whole; of a commit whose events can't be folded, by the code of
    today, the events. Mend the code instead where you can.
    """
    wanted = _wanted(agent, where)
    if apply and not why.strip():
        raise Invalid("--apply needs --why: it stands in the repair for ever")
    types = find(module)
    by = _by()
    failed = 0
    async with opened(options, types.values()) as session:
        plans = await _plans(options, session, types, agent, wanted)
        for id, plan in plans:
            if plan is None:
                if apply:
                    told = await _start(session, id)
                    options.output.result(_record(id, None, told), f"{id}: nothing to leave out")
                else:
                    options.output.result(_record(id, None, ""), f"{id}: nothing to leave out")
                continue
            try:
                done = ""
                if apply:
                    sequence = await repair(session.moon.bus, plan, by=by, why=why.strip())
                    done = f"repaired at sequence {sequence}; {await _start(session, id)}"
            except MoonletError as error:
                failed += 1
                done = f"failed: {error}"
            options.output.result(_record(id, plan, done), _in_words(plan, done))
    many = sum(plan is not None for _, plan in plans)
    if not apply and many:
        options.output.remark(f"{counted(many, 'agent')} would be repaired: add --apply and --why")
    elif agent is None and not many:
        options.output.remark("no agent is to be repaired")
    return ExitCode.FOUND if failed else ExitCode.OK


def _wanted(agent: str | None, where: list[str] | None) -> dict[str, str]:
    if (agent is None) == (not where):
        raise Invalid("name one AGENT, or say which with --where")
    wanted = {}
    for one in where or []:
        key, equals, value = one.partition("=")
        if not equals or key not in KEYS:
            raise Invalid(f"--where {one}: write KEY=VALUE, with a KEY of {', '.join(KEYS)}")
        wanted[key] = value
    return wanted


async def _plans(
    options: Options, session: Session, types: Found, agent: str | None, wanted: dict[str, str]
) -> list[tuple[AgentId, RepairPlan | None]]:
    """Who is meant, and what would be left out."""
    bus = session.moon.bus
    if agent is not None:
        id = AgentId.parse(agent)
        return [(id, await plan_repair(bus, id, types.get(id.type)))]
    verification = Verification(types, decides=False)
    faulty: dict[AgentId, None] = {}
    with progress(options.output, "reading", "commits") as advance:
        for stream in bus.topology.journal_streams:
            for fault in await JournalCheck(bus, stream, verification, advance).run(None):
                if fault.agent and fault.kind in ("corrupt", "undecodable", "chain"):
                    faulty[AgentId.parse(fault.agent)] = None
    plans: list[tuple[AgentId, RepairPlan | None]] = []
    for id in sorted(faulty):
        plan = await plan_repair(bus, id, types.get(id.type))
        if plan is not None and _fits(id, plan, wanted):
            plans.append((id, plan))
    return plans


def _fits(id: AgentId, plan: RepairPlan, wanted: dict[str, str]) -> bool:
    facts: dict[str, set[str]] = {
        "type": {id.type},
        "agent": {str(id)},
        "what": {skip.what for skip in plan.new},
        "event": set(plan.events),
    }
    return all(value in facts[key] for key, value in wanted.items())


async def _start(session: Session, id: AgentId) -> str:
    """Have its owner read it again; without a host that happens when there is one."""
    try:
        await session.moon.order(str(id), "start", timeout=START_TIMEOUT)
    except (NoHost, UnknownAgentType):
        return "no host runs it now"
    except MoonletError as error:
        return f"its host could not be told: {error}"
    return "started again"


def _by() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def _record(id: AgentId, plan: RepairPlan | None, done: str) -> dict[str, Any]:
    new = [msgspec.to_builtins(skip) for skip in plan.new] if plan is not None else []
    return {"agent": str(id), "left_out": new, "done": done}


def _in_words(plan: RepairPlan, done: str) -> str:
    lines = [f"{plan.agent}: {done or 'would leave out'}"]
    for skip in plan.new:
        what = "the record" if skip.what == "record" else "the events"
        lines.append(f"    {what} at sequence {skip.sequence}: {skip.why}")
    return "\n".join(lines)
