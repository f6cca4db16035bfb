"""`cohort`: many recorded conversations at once, with other code or other answers to calls."""

from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.console.common import (
    Modules,
    Options,
    command,
    compact,
    counted,
    find,
    function_at,
    table,
)
from moonlet.console.replay.forking import Set, left_open, set_by
from moonlet.console.replay.opening import BundleFile, Reading, reading
from moonlet.core.errors import Invalid
from moonlet.replay import (
    Cohort,
    Compared,
    Recording,
    cohort,
    commit_at,
    conversations,
    correlation_of,
    read_record,
)

WIDTH: Final = 40
"""Characters of a reply or a measure in the table."""

Began = Annotated[
    list[str] | None,
    typer.Argument(metavar="[POINT]...", help="Conversations, each by any commit of it; else all."),
]


@command
async def cohort_(
    options: Options,
    points: Began = None,
    agents: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Those that began with such an agent, like order/*."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--command", metavar="NAME", help="Those that began with it.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="How many of these, the newest.")] = 100,
    answer: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Answers every call outside of these conversations: takes the call, returns the"
            " result, or None for what the record has.",
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="What is compared too: takes a conversation's commits, returns plain data.",
        ),
    ] = None,
    settings: Set = None,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Run many recorded conversations with other code or other answers, and compare each.

    Nothing real is touched. The whole record is run on, so conversations meet as they did. Prints
    for each its outcome, reply and length as they were and as they would have been.
    """
    if points and (agents is not None or name is not None):
        raise Invalid("name points, or choose by --agents and --command")
    types = find(module)
    answering = function_at("--answer", answer) if answer is not None else None
    async with reading(options, bundle, types.values()) as opened:
        chosen = [await _conversation(opened, text) for text in points or ()]
        record = await read_record(opened.source)
    if not points:
        chosen = _chosen(record, agents, name)[-most:]
    values = set_by(settings)
    if measure is None:
        made = cohort(record, types, chosen, answer=answering, settings=values)
    else:
        judge = function_at("--measure", measure)
        made = cohort(record, types, chosen, answer=answering, measure=judge, settings=values)
    options.output.result(_record(made), _in_words(made, measured=measure is not None))


async def _conversation(opened: Reading, text: str) -> str:
    return correlation_of(await commit_at(opened.source, await opened.point(text)))


def _chosen(record: Recording, agents: str | None, name: str | None) -> list[str]:
    found = conversations(record, agents or "*", name or "")
    if not found:
        began = f" with {agents or 'an agent'}" + (f" and {name}" if name else "")
        raise Invalid(
            f"no conversation of {record.description} began{began}: `moonlet trace POINT` shows a"
            " commit's whole conversation, and with what it began"
        )
    return found


def _record(made: Cohort) -> dict[str, Any]:
    record: dict[str, Any] = {"real": False, **msgspec.structs.asdict(made)}
    record["conversations"] = [
        {**msgspec.structs.asdict(each), "differs": each.differs} for each in made.conversations
    ]
    return record


def _in_words(made: Cohort, *, measured: bool) -> str:
    differ = sum(each.differs for each in made.conversations)
    told = f"{differ:,} would have come out otherwise" if differ else "all come out as they did"
    lines = [f"{counted(len(made.conversations), 'conversation')}, {told}; none of this happened"]
    head = ("BEGAN", "COMMAND", "OUTCOME", "REPLY", "COMMITS", "OTHERWISE", "MEASURE")
    rows = [head, *(_row(each) for each in made.conversations)]
    lines += table(rows if measured else [row[:-1] for row in rows], right=(5,))
    lines += left_open(made)
    if made.stopped:
        lines.append(f"stopped {made.stopped}")
    return "\n".join(lines)


def _row(each: Compared) -> tuple[str, ...]:
    return (
        each.began,
        each.command,
        _pair(*each.outcome),
        _pair(_short(each.reply[0]), _short(each.reply[1])),
        _pair(f"{each.length[0]:,}", f"{each.length[1]:,}"),
        f"{each.otherwise:,}",
        _pair(_short(each.measure[0]), _short(each.measure[1])),
    )


def _pair(then: str, now: str) -> str:
    return then if then == now else f"{then} → {now}"


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = compact(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
