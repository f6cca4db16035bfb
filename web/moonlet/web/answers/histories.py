"""One agent's history: its commits, the state at each, what changed, and since when."""

from typing import Any, Final

import msgspec

from moonlet.core.commit import plain
from moonlet.core.digest import state_digest
from moonlet.core.errors import Corrupt, Invalid, LimitExceeded, MoonletError, Undecodable
from moonlet.replay import Condition, blame, changes, inside, parse_path, plain_state, resolve
from moonlet.replay.changes import NOTHING, names_of
from moonlet.replay.stepping import Stepper
from moonlet.streams import ParkedStacks
from moonlet.web.reading import (
    CommitRow,
    Parameters,
    SystemReader,
    brief,
    cut,
    row_of,
    state_text,
    unreadable,
)

ROWS_MAX: Final = 500
"""Commits in one answer."""

REVISION_MAX: Final = 10**15 - 1

RECORD_MAX: Final = 2_000_000
"""Characters of one commit, or one value, that are shown."""

CHANGES_MAX: Final = 1_000
"""Changes in one answer."""


async def history(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """Commits from revision `from` on, `count` of them; without `from` the last ones."""
    agent = asked.agent()
    pages = await reader.commits(agent)
    count = asked.number("count", 100, 1, ROWS_MAX)
    first = asked.number("from", max(1, pages.last - count + 1), 1, REVISION_MAX)
    rows: list[CommitRow] = []
    for revision in range(first, min(pages.last, first + count - 1) + 1):
        try:
            rows.append(row_of(await pages.commit(revision)))
        except (Undecodable, Corrupt, Invalid) as error:
            rows.append(unreadable(str(agent), revision, error))
    words = ["history", str(agent)]
    if asked.text("from", "") and rows:
        words += ["--from", str(first), "--to", str(first + len(rows) - 1)]
    return {
        "agent": str(agent),
        "last": pages.last,
        "rows": rows,
        "known": agent.type in reader.system.types,
        "command": reader.system.command(*words),
    }


async def commit(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """One commit with all that it holds, as JSON in lines; of a parked one also the traceback."""
    agent, revision = asked.agent(), asked.number("revision", None, 1, REVISION_MAX)
    found = await (await reader.commits(agent)).commit(revision)
    bus = reader.system.bus
    stack = await ParkedStacks(bus, agent).of(found) if bus is not None else ""
    text = _json(plain(found))
    command = reader.system.command(
        "history", str(agent), "--from", str(revision), "--to", str(revision), "--json"
    )
    return {"row": row_of(found), "text": text, "traceback": stack, "command": command}


async def state(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """The state after a revision, and what is otherwise than after `against`, or one before."""
    agent = asked.agent()
    revision = asked.number("revision", None, 0, REVISION_MAX)
    against = asked.number("against", max(0, revision - 1), 0, REVISION_MAX)

    async def read() -> dict[str, Any]:
        timeline = await reader.timeline(agent)
        held = await timeline.at(revision)
        before = await timeline.at(against)
        after = plain_state(held.state)
        differ = changes(plain_state(before.state), after)
        lines, cut_off = state_text(after, differ)
        try:
            digest = state_digest(held.state)
        except MoonletError:
            digest = ""
        return {
            "revision": held.revision,
            "last": timeline.last,
            "digest": digest,
            "lines": lines,
            "cut": cut_off,
            "changes": [
                {
                    "path": each.path,
                    "kind": each.kind,
                    "old": brief(each.old),
                    "new": brief(each.new),
                }
                for each in differ[:CHANGES_MAX]
            ],
            "more": max(0, len(differ) - CHANGES_MAX),
        }

    found = await reader.fold(read)
    point = f"{agent}@{revision}"
    command = reader.system.command
    words = ["diff", point] if against == revision - 1 else ["diff", f"{agent}@{against}", point]
    found["command"] = command("state", point, code=True)
    found["diff"] = command(*words, code=True) if revision or against else found["command"]
    return found


async def value(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """What stands at a path after a revision, whole."""
    agent, revision = asked.agent(), asked.number("revision", None, 0, REVISION_MAX)
    path = parse_path(asked.text("path"))

    async def read() -> Any:
        timeline = await reader.timeline(agent)
        return inside(plain_state((await timeline.at(revision)).state), path)

    found = await reader.fold(read)
    if found is NOTHING:
        raise Invalid(f"{agent}@{revision} has no {asked.text('path')}")
    command = reader.system.command("state", f"{agent}@{revision}", "--json", code=True)
    return {"text": _json(found), "command": command}


async def why_value(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """For each leaf at a path: its value after a revision, and the commit that changed it last."""
    agent, revision = asked.agent(), asked.number("revision", None, 0, REVISION_MAX)
    path = asked.text("path")
    found = await reader.fold(lambda: _blame(reader, agent, path, revision))
    command = reader.system.command("blame", f"{agent}@{revision}", path, code=True)
    leaves = [
        {
            "path": each.path,
            "value": brief(each.value),
            "commit": row_of(each.commit) if each.commit is not None else None,
        }
        for each in found[:CHANGES_MAX]
    ]
    return {"leaves": leaves, "more": max(0, len(found) - CHANGES_MAX), "command": command}


async def _blame(reader: SystemReader, agent: Any, path: str, revision: int) -> Any:
    return await blame(await reader.timeline(agent), path, revision)


async def column(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """Whether a condition holds at each of `count` revisions from `from` on; null: not judged."""
    agent, text = asked.agent(), asked.text("condition")
    condition = Condition(text)
    first = asked.number("from", None, 0, REVISION_MAX)
    count = asked.number("count", 100, 1, ROWS_MAX)

    async def read() -> list[bool | None]:
        timeline = await reader.timeline(agent)
        found: list[bool | None] = []
        for revision in range(first, min(timeline.last, first + count - 1) + 1):
            try:
                held = await timeline.at(revision)
                names = await names_of(timeline, held, commit=condition.needs_commit)
                judged = condition.judge(names)
                found.append(None if judged.missing and not judged.holds else judged.holds)
            except (Undecodable, Corrupt, Invalid):
                found.append(None)
        return found

    command = reader.system.command("bisect", str(agent), "--where", text, code=True)
    return {"from": first, "holds": await reader.fold(read), "command": command}


async def stop(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """From a revision to the next, or the one before, where something is: a command or event of
    that name, a condition that holds, or a path that changed. `revision` is null if there is none.
    """
    agent, revision = asked.agent(), asked.number("revision", None, 0, REVISION_MAX)
    back = asked.flag("back")
    path, text = asked.text("path", ""), asked.text("at", "")
    if bool(path) == bool(text):
        raise Invalid("give path or at")
    names = (text,) if text.isidentifier() else ()
    condition = Condition(text) if text and not names else None

    async def read() -> int | None:
        stepper = await Stepper.at(await reader.timeline(agent), revision)
        if path:
            return await stepper.to_change(path, back=back)
        return await stepper.to_break(names, condition, back=back)

    words = ["history", str(agent), "--field", path]
    if not path:
        words = ["step", str(agent), "--break" if names else "--where", text]
    command = reader.system.command(*words, code=True)
    return {"revision": await reader.fold(read), "command": command}


async def point(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """The agent and revision that a text means: AGENT@REVISION, AGENT@TIME, a place, an id."""
    found = await resolve(reader.source, asked.text("text"))
    return {"agent": str(found.agent), "revision": found.revision}


def _json(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    if len(text) > RECORD_MAX:
        raise LimitExceeded(
            f"that is {len(text):,} characters, more than the {RECORD_MAX:,} that are shown here:"
            " use the command"
        )
    return cut(text, RECORD_MAX)
