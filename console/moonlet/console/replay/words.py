"""Commits, causes and changes as lines of text for people."""

from datetime import UTC, datetime
from typing import Any, Final

import typer

from moonlet.console.common import compact
from moonlet.core.commit import Commit, Effect
from moonlet.replay import CausedBy, cause_of

COLORS: Final = {"accepted": "green", "rejected": "yellow", "expired": "yellow", "parked": "red"}

WIDTH: Final = 100
"""Characters of a body in a line that is one of many."""


def in_words(commit: Commit[Any], stack: str = "", *, styled: bool = True) -> str:
    """A commit as text: a line for the command, one for each event and effect, and the reply.

    Of a parked one also the traceback of its handler.
    """
    style = typer.style if styled else _plain
    command = commit.command
    outcome = style(f"{commit.outcome:<8}", fg=COLORS[commit.outcome])
    moment = commit.time.datetime.isoformat(sep=" ", timespec="milliseconds")
    head = style(f"{commit.revision:>6}", bold=True)
    name = style(command.name, bold=True)
    sender = f"  from {command.sender}" if "/" in command.sender else ""
    lines = [f"{head}  {moment.removesuffix('+00:00')}  {outcome}  {name} "]
    lines[0] += f"{compact(command.body)}{sender}"
    if commit.reason:
        lines.append(f"why    {commit.reason}")
    if commit.where:
        lines.append(f"where  {commit.where}")
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


def moment(commit: Commit[Any]) -> str:
    """When it was decided, UTC, to the millisecond."""
    return commit.time.datetime.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def line(commit: Commit[Any], *, styled: bool = True) -> str:
    """A commit in one line: point, outcome, command, and its body as far as there is room."""
    style = typer.style if styled else _plain
    body = compact(commit.command.body)
    body = body if len(body) <= WIDTH else f"{body[: WIDTH - 1]}…"
    point = style(f"{commit.agent}@{commit.revision}", bold=True)
    outcome = ""
    if commit.outcome != "accepted":
        outcome = style(f" {commit.outcome}", fg=COLORS.get(commit.outcome, "red"))
        told = f"{commit.reason}, {commit.where}" if commit.where else commit.reason
        outcome += f" ({told})" if told else ""
    return f"{point}  {commit.command.name} {body}{outcome}"


def _plain(text: str, **_: Any) -> str:
    return text


def origin(cause: CausedBy | None, commit: Commit[Any]) -> str:
    """By what a command came, in words."""
    if cause is None:
        return f"from outside, by {commit.command.sender or 'somebody without a name'}"
    how = {"send": "sent by", "timer": "the timer set by", "call": "the result of a call by"}
    return f"{how[cause.kind]} {cause.commit}"


def span(microseconds: int) -> str:
    """A length of time: `850 µs`, `12.3 ms`, `4.2 s`, `3 h 12 min`."""
    if abs(microseconds) < 1_000:
        return f"{microseconds} µs"
    if abs(microseconds) < 1_000_000:
        return f"{microseconds / 1_000:.1f} ms"
    if abs(microseconds) < 120_000_000:
        return f"{microseconds / 1_000_000:.1f} s"
    minutes = microseconds // 60_000_000
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def with_cause(commit: Commit[Any], record: dict[str, Any]) -> dict[str, Any]:
    """The record of a commit; of one that an agent caused, also which, at which revision, how."""
    cause = cause_of(commit)
    if cause is None:
        return record
    told = {"kind": cause.kind, "agent": cause.agent, "revision": cause.revision}
    return {**record, "cause": told}
