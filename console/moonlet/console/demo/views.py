"""What the demo shows of its views: exposure, open alerts, risk, and that replicas are equal."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import typer

from moonlet.console.common import counted, table
from moonlet.satellites.common import dollars

ALERTS_SHOWN: Final = 8
DIGEST_SHOWN: Final = 12
"""Hexadecimal digits of a digest in the text; `--json` has all."""


class Closed(msgspec.Struct, frozen=True):
    """An operator's acknowledgement, and the commit in which it stands."""

    by: str
    agent: str
    revision: int
    alert: str


class ViewShown(msgspec.Struct, frozen=True):
    """A view at the end: one replica's value and frontier, and both replicas' digests."""

    view: str
    version: int
    frontier: dict[str, int]
    near: str
    far: str
    value: dict[str, Any]


class Night(msgspec.Struct, frozen=True):
    """What replicas and operators did: between two ticks `far` was cut off.

    When it came back it was `behind` by so many commits.
    """

    cut_tick: int
    mended_tick: int
    behind: int
    closed: Sequence[Closed]
    views: Sequence[ViewShown]

    @property
    def is_equal(self) -> bool:
        """Whether the two replicas of every view hold equal bytes."""
        return all(shown.near == shown.far for shown in self.views)

    def record(self) -> dict[str, Any]:
        """All of it for `--json`."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {"equal": self.is_equal, **fields}

    def parts(self) -> list[list[str]]:
        """The same in words: one list of lines for each part."""
        values = {shown.view: shown.value for shown in self.views}
        return [
            _exposure(values["exposure"]),
            _alerts(values["alerts"], self.closed),
            _risk(values["risk"]),
            self._replicas(),
        ]

    def _replicas(self) -> list[str]:
        rows = [("  view", "journals folded to", "near", "far", "")]
        for shown in self.views:
            ends = ", ".join(f"{_short(name)} {at}" for name, at in shown.frontier.items())
            is_equal = shown.near == shown.far
            verdict = typer.style(
                "equal" if is_equal else "DIFFERENT", fg="green" if is_equal else "red", bold=True
            )
            digests = (shown.near[:DIGEST_SHOWN], shown.far[:DIGEST_SHOWN])
            rows.append((f"  {shown.view}", ends, *digests, verdict))
        return [
            _title("Two replicas of each view, their digests compared"),
            f"  far was cut off from tick {self.cut_tick} to tick {self.mended_tick}, and came back"
            f" {counted(self.behind, 'commit')} behind",
            *table(rows),
        ]


def _exposure(value: dict[str, Any]) -> list[str]:
    places = sorted(value["by_place"].items(), key=lambda place: (-place[1], place[0]))
    rows = [(f"  {place}", dollars(amount)) for place, amount in places if amount]
    sold = ", ".join(f"{purpose} {dollars(amount)}" for purpose, amount in value["sold"].items())
    return [
        _title(f"View exposure: {dollars(value['total'])} at stake (Aegis's books, Fuel's cash)"),
        *table(rows, right=(1,)),
        f"  sold by Forge: {sold or 'nothing'}",
    ]


def _alerts(value: dict[str, Any], closed: Iterable[Closed]) -> list[str]:
    about, names = value["about"], value["open"]
    rows = [(f"  {name}", about.get(name, "")) for name in names[:ALERTS_SHOWN]]
    lines = [_title(f"View alerts: {len(names)} open"), *table(rows)]
    if len(names) > ALERTS_SHOWN:
        lines.append(f"  … and {len(names) - ALERTS_SHOWN} more: see them all with --json")
    for each in closed:
        place = f"{each.agent} (revision {each.revision})"
        lines.append(f"  {each.by} acknowledged {each.alert} at {place}")
    for name, people in value["acknowledged"].items():
        if len(people) > 1:
            lines.append(f"  {name} was acknowledged by {' and '.join(people)}, apart")
    return lines


def _risk(value: dict[str, Any]) -> list[str]:
    rows = []
    conflicts = 0
    for protocol, opinions in value["by_protocol"].items():
        is_conflict = len({opinion["risk"] for opinion in opinions}) > 1
        conflicts += is_conflict
        said = ", ".join(f"{opinion['by']}: {opinion['risk']}" for opinion in opinions)
        mark = typer.style("conflict", fg="yellow") if is_conflict else ""
        rows.append((f"  {protocol}", said, mark))
    head = f"View risk: {counted(len(rows), 'protocol')}, {counted(conflicts, 'conflict')}"
    return [_title(f"{head} between opinions"), *table(rows)]


def _short(stream: str) -> str:
    """The journal's name, without the prefix of its stream."""
    return stream.rpartition("-journal-")[2]


def _title(text: str) -> str:
    return typer.style(text, bold=True)
