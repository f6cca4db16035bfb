"""What happened in a run, in words of its agents: their commits, in the order of their times."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from moonlet.core.commit import Commit
from moonlet.core.errors import MoonletError
from moonlet.simulations.bundle import Bundle
from moonlet.simulations.durations import shown
from moonlet.simulations.scenario import Run
from moonlet.streams import decode_plain_commit

LINES: Final = 10
"""Commits that a failing test shows."""

BEFORE: Final = 3
"""Of these, before the first that is otherwise than without the last fault."""

BODY: Final = 80
"""Characters of a body."""


class Happened(msgspec.Struct, frozen=True):
    """A commit and when the server stored it, in ns of the run's clock."""

    at_ns: int
    commit: Commit[Any]

    def __str__(self) -> str:
        commit = self.commit
        body = msgspec.json.encode(commit.command.body).decode()
        body = body if len(body) <= BODY else f"{body[: BODY - 1]}…"
        outcome = "" if commit.outcome == "accepted" else f" {commit.outcome}"
        reason = f" ({commit.reason})" if commit.reason else ""
        what = f"{commit.command.name} {body}{outcome}{reason}"
        events = ", ".join(event.name for event in commit.events)
        return (
            f"{shown(self.at_ns):>10}  {commit.agent}@{commit.revision}  {what} -> {events or '-'}"
        )

    @property
    def told(self) -> Any:
        """What it says, whatever its ids and times are."""
        commit = self.commit
        events = [(event.name, event.body) for event in commit.events]
        name, body = commit.command.name, commit.command.body
        return commit.agent, commit.revision, name, body, commit.outcome, events


def happened(run: Run) -> list[Happened]:
    """The commits of a run that kept what its server held; one that can't be read is left out."""
    held = run.held
    if held is None:
        return []
    began = held.taken - run.virtual_ns
    found = []
    for stream in _journals(held):
        for message in stream.messages:
            try:
                commit = decode_plain_commit(stream.name, message)
            except MoonletError:
                continue  # one that stands apart, or that a fault has damaged
            found.append(Happened(message.time - began, commit))
    return sorted(found, key=lambda each: (each.at_ns, each.commit.agent, each.commit.revision))


def _journals(held: Bundle) -> list[Any]:
    return [each for each in held.streams if each.name in held.topology.journal_streams]


def without_last_fault(run: Run) -> Run | None:
    """The run without its last fault, if that passes: what then differs is what the fault did."""
    if not run.hits:
        return None
    other = run.scenario.run(run.seed, plan=run.hits[:-1], profile=run.profile, keep=True)
    return other if other.error is None else None


class Otherwise(msgspec.Struct, frozen=True):
    """Where a run first parts from one that passes: `place` in its own commits, or the commit of
    the other that is `missing`, before which `place` stands.
    """

    place: int
    missing: Happened | None = None


def otherwise(run: Run, mine: list[Happened], passing: Run) -> Otherwise | None:
    """Where `run` with its commits first parts from the other, as far as it came itself."""
    theirs = happened(passing)
    known = {_name(each): each.told for each in theirs}
    place = next((n for n, each in enumerate(mine) if known.get(_name(each)) != each.told), None)
    own = {_name(each) for each in mine}
    missing = next((each for each in theirs if _name(each) not in own), None)
    if missing is not None and missing.at_ns <= run.virtual_ns:
        before = sum(each.at_ns <= missing.at_ns for each in mine)
        if place is None or before <= place:
            return Otherwise(before, missing)
    return None if place is None else Otherwise(place)


def _name(each: Happened) -> tuple[str, int]:
    return each.commit.agent, each.commit.revision


def lines_from(mine: list[Happened], parted: Otherwise | None, most: int) -> list[str]:
    """Up to `most` commits as lines: around the place where it parted, or else the last ones."""
    place = len(mine) if parted is None else parted.place
    start = max(0, min(place - BEFORE, len(mine) - most))
    lines = [f"  {each}" for each in mine[start : start + most]]
    if parted is None:
        return lines
    if parted.missing is None:
        lines[place - start] = f"> {mine[place]}"
        return lines
    lines.insert(place - start, f"- {parted.missing}")
    return lines[:most]


MARKS: Final = "> otherwise than, - missing, though without the last fault it is there"
"""What the marks of `lines_from` say."""


def last_lines(run: Run, most: int = LINES) -> list[str]:
    """What a failing test shows of its commits; `run` has kept what its server held."""
    mine = happened(run)
    passing = without_last_fault(run)
    parted = None if passing is None else otherwise(run, mine, passing)
    return [f" {line}" for line in lines_from(mine, parted, most)]
