"""`fork`: what would have been with other commands or other code."""

from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.console.common import (
    Modules,
    Options,
    command,
    counted,
    find,
    function_at,
    table,
)
from moonlet.console.replay.opening import BundleFile, Reading, reading
from moonlet.console.replay.words import line
from moonlet.core.commit import Commit, plain
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import (
    NOTHING,
    AgentFork,
    Cohort,
    Drop,
    Edit,
    Fork,
    Insert,
    Reorder,
    commit_at,
    inside,
    parse_path,
    read_record,
)
from moonlet.replay import fork as run_on

SHOWN: Final = 5
"""Changes of an agent's state that are told as text."""

Points = Annotated[
    list[str] | None, typer.Option("--drop", metavar="POINT", help="The command never came.")
]

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="MODULE:NAME=JSON", help="A constant of the code was another."),
]


@command
async def fork(
    options: Options,
    at: Annotated[
        str | None,
        typer.Option(metavar="POINT", help="Just before this commit; else before the first edit."),
    ] = None,
    drop: Points = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'POINT PATH=JSON'", help="The command's body had another value at PATH."
        ),
    ] = None,
    insert: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'AGENT NAME JSON'", help="A command came from outside, at the time of --at."
        ),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(metavar="'POINT POINT'", help="The first came just before the second."),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Answers calls outside that are not in the record: takes the call, returns the"
            " result.",
        ),
    ] = None,
    settings: Set = None,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Run a recorded history on with commands dropped, edited, put in or moved, or with other code.

    Other code is also a constant of it that is set to something else. Nothing real is touched.
    Calls outside are answered from the record while they are the same.
    Prints for each agent what differs from what happened.
    """
    types = find(module)
    answering = function_at("--answer", answer) if answer is not None else None
    async with reading(options, bundle, types.values()) as opened:
        point = await opened.point(at) if at is not None else None
        edits = await _edits(opened, drop or [], edit or [], move or [])
        if insert:
            if point is None:
                raise Invalid("--insert: say when with --at POINT: just before that commit")
            then = (await commit_at(opened.source, point)).wall_us - 1
            edits += [_inserted(text, then) for text in insert]
        record = await read_record(opened.source)
    made = run_on(record, types, edits, at=point, answer=answering, settings=set_by(settings))
    options.output.result(_record(made), _in_words(made))


async def _edits(
    opened: Reading, drops: list[str], edits: list[str], moves: list[str]
) -> list[Any]:
    found: list[Any] = []
    for text in drops:
        commit = await _commit(opened, text)
        found.append(Drop(commit.agent, commit.command.id))
    for text in edits:
        point, _, change = text.partition(" ")
        path, equals, value = change.partition("=")
        if not equals:
            raise Invalid(f"--edit {text!r}: write it like 'oracle/main@9 readings[0].value=1'")
        commit = await _commit(opened, point)
        body = _with(commit.command.body, path.strip(), _json(value, text), text)
        found.append(Edit(commit.agent, commit.command.id, body))
    for text in moves:
        point, _, other = text.partition(" ")
        if not other:
            raise Invalid(
                f"--move {text!r}: write two points: the one that moves, and before which"
            )
        moved, before = await _commit(opened, point), await _commit(opened, other.strip())
        found.append(Reorder(moved.agent, moved.command.id, before.agent, before.command.id))
    return found


async def _commit(opened: Reading, text: str) -> Commit[Any]:
    return await commit_at(opened.source, await opened.point(text))


def set_by(texts: list[str] | None) -> dict[str, Any]:
    """What `--set` says; raises `Invalid`."""
    found: dict[str, Any] = {}
    for text in texts or ():
        place, equals, value = text.partition("=")
        if not equals:
            raise Invalid(f"--set {text!r}: write it like 'bank.accounts:LIMIT=5'")
        found[place.strip()] = _json(value, text)
    return found


def _with(body: Any, path: str, value: Any, text: str) -> Any:
    """The body with another value at a path that is there."""
    parts = parse_path(path)
    if not parts:
        return value
    made: Any = msgspec.json.decode(msgspec.json.encode(body))
    held = inside(made, parts[:-1])
    if inside(made, parts) is NOTHING:
        there = ", ".join(map(str, held)) if isinstance(held, dict) else "none"
        raise Invalid(f"--edit {text!r}: the command has no {path}; there is: {there}")
    held[parts[-1]] = value
    return made


def _json(text: str, whole: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid(f"{whole!r}: {text!r} is no JSON ({error}); a text needs quotes") from None


def _inserted(text: str, micros: int) -> Insert:
    parts = text.split(" ", 2)
    if len(parts) != 3:
        raise Invalid(f"--insert {text!r}: write it like 'account/alice Deposit {{\"amount\": 5}}'")
    agent, name, body = parts
    return Insert(str(AgentId.parse(agent)), name, _json(body, text), micros)


def _record(made: Fork) -> dict[str, Any]:
    return {
        "at": made.at,
        "real": False,
        "agents": [_agent_record(each) for each in made.agents],
        "commits": len(made.commits),
        "unanswered": made.unanswered,
        "codeless": made.codeless,
        "failed": made.failed,
        "stopped": made.stopped or None,
        "digest": made.digest,
    }


def _agent_record(each: AgentFork) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.structs.asdict(each)
    record["first"] = plain(each.first) if each.first is not None else None
    return record


def _in_words(made: Fork) -> str:
    lines = [f"a fork just before {made.at}: none of this happened"]
    rows = [("AGENT", "HAPPENED", "FORK", "GONE", "NEW", "OTHERWISE")]
    for each in made.agents:
        counts = (each.happened, each.forked, len(each.gone), len(each.new), len(each.otherwise))
        rows.append((each.agent, *(f"{count:,}" for count in counts)))  # type: ignore[arg-type]
    if made.agents:
        lines += table(rows, right=(1, 2, 3, 4, 5))
    else:
        lines.append("nothing comes out otherwise")
    for each in made.agents:
        lines.append("")
        lines.append(each.agent)
        if each.first is not None:
            lines.append(f"  first  {line(each.first)}")
        lines += [f"  state  {change}" for change in each.state[:SHOWN]]
        if len(each.state) > SHOWN:
            lines.append(f"  state  and {len(each.state) - SHOWN:,} changes more")
    lines += left_open(made)
    if made.stopped:
        lines.append(f"stopped {made.stopped}; {counted(len(made.commits), 'commit')} were made")
    return "\n".join(lines)


def left_open(made: Fork | Cohort) -> list[str]:
    """What could not be done, a line each."""
    lines = [f"nobody answered the call of {call}" for call in made.unanswered]
    lines += [f"{agent} can't be folded on: {why}" for agent, why in made.failed.items()]
    if made.codeless:
        lines.append(f"the code of {', '.join(made.codeless)} is not known here: left out")
    return lines
