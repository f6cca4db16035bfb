"""What the demo prints at its end: the report's figures, as text or as one JSON object."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import typer

from moonlet.console.common import counted, table
from moonlet.console.demo.hosts import Kill
from moonlet.console.demo.views import Night
from moonlet.satellites.common import MICRO
from moonlet.satellites.night import DeliveryFault, Drive, Report, TradeLine
from moonlet.streams import resolve_settings

TRADES_SHOWN: Final = 12
REFUSALS_SHOWN: Final = 8
FAULTS_SHOWN: Final = 10
EVENTS_SHOWN: Final = 3


class Told(msgspec.Struct, frozen=True):
    """A demo that is over: report, what was driven, kills, views, and where the data is."""

    report: Report
    driven: Drive
    kills: Sequence[Kill]
    views: Night
    folder: Path

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled or came from nowhere, and books and replicas agree."""
        audit, ledger = self.report.audit, self.report.ledger
        faults = audit.lost or audit.doubled or audit.strays
        balanced = not ledger.unbalanced and not ledger.balance
        return not faults and balanced and self.views.is_equal

    def record(self) -> dict[str, Any]:
        """All of it for `--json`."""
        report = self.report
        fields: dict[str, Any] = msgspec.to_builtins(report)
        fields["ledger"]["balance"] = report.ledger.balance
        return {
            "clean": self.is_clean,
            "ticks": self.driven.ticks,
            "first_tick": self.driven.first_tick,
            "told": len(self.driven.sent),
            "commits_per_second": round(report.commits_per_second, 1),
            "kills": [
                {**msgspec.to_builtins(kill), "resumed_ms": self._resumed(kill)}
                for kill in self.kills
            ],
            **fields,
            "satellites": self._done(),
            "views": self.views.record(),
            "look_further": self.commands(),
        }

    def text(self) -> str:
        """The same in words, the long lists cut."""
        parts = [self._summary(), self._satellites(), self._alerts()]
        parts += [self._trades(), self._refusals()]
        parts += [self._books(), *self.views.parts(), self._audit(), self._further()]
        return "\n\n".join("\n".join(part) for part in parts)

    def commands(self) -> list[str]:
        """Commands that look further into what is stored; docs/debugging.md goes on from there."""
        here = self.folder.resolve() == Path.cwd() and resolve_settings() is None
        at = "" if here else f" --data {shlex.quote(str(self.folder))}"
        commands = [
            f"moonlet history aegis/main{at}",
            f"moonlet state fuel/main{at}",
            f"moonlet verify{at}",
        ]
        for trade in self.report.trades[:1]:
            commands.append(f"moonlet why {trade.executed_by.replace(' ', '@')}{at}")
        return commands

    def _resumed(self, kill: Kill) -> float | None:
        """Milliseconds from the kill to the next commit."""
        later = [
            commit.time.micros
            for commits in self.driven.commits.values()
            for commit in commits
            if commit.time.micros > kill.time
        ]
        return (min(later) - kill.time) / 1_000 if later else None

    def _summary(self) -> list[str]:
        report = self.report
        outcomes = ", ".join(f"{count:,} {name}" for name, count in report.outcomes.items())
        lines = [
            _title(f"The night of the depeg, ticks {self.driven.first_tick} to {self._last}"),
            f"{len(self.driven.sent):,} commands told by the driver became"
            f" {report.commits:,} commits of eight agents in {report.seconds:.1f} s:"
            f" {report.commits_per_second:.0f} commits/s ({outcomes})",
            "The first source's prices are real; the two that lag and err, and all positions,"
            " posts and routes, are synthetic.",
        ]
        for kill in self.kills:
            resumed = self._resumed(kill)
            after = "nothing was committed after that"
            if resumed is not None:
                after = f"another went on {resumed / 1_000:.1f} s later"
            lines.append(
                f"The host (process {kill.pid}) was killed with SIGKILL after tick {kill.tick},"
                f" {counted(kill.in_flight, 'command')} in flight; {after}."
            )
        return lines

    def _done(self) -> dict[str, dict[str, Any]]:
        """What each of the eight did: its commits, those refused, and its events by name."""
        found: dict[str, dict[str, Any]] = {}
        for agent, commits in sorted(self.driven.commits.items()):
            events = Counter(event.name for commit in commits for event in commit.events)
            refused = sum(commit.outcome != "accepted" for commit in commits)
            found[agent] = {
                "commits": len(commits),
                "refused": refused,
                "events": dict(events.most_common()),
            }
        return found

    def _satellites(self) -> list[str]:
        rows = [("  satellite", "commits", "refused", "mostly")]
        for agent, done in self._done().items():
            mostly = list(done["events"].items())[:EVENTS_SHOWN]
            told = ", ".join(f"{count:,} {name}" for name, count in mostly)
            rows.append((f"  {agent}", f"{done['commits']:,}", f"{done['refused']:,}", told))
        return [_title("What each of the eight did"), *table(rows, right=(1, 2))]

    @property
    def _last(self) -> int:
        return self.driven.first_tick + self.driven.ticks - 1

    def _alerts(self) -> list[str]:
        rows = [("  level", "alerts", "price to alert, median", "worst")]
        rows += [
            (f"  {line.level}", str(line.count), _ms(line.median_ms), _ms(line.worst_ms))
            for line in self.report.alerts
        ]
        return [_title("Alerts of Aegis"), *table(rows, right=(1, 2, 3))]

    def _trades(self) -> list[str]:
        trades = self.report.trades
        rows: list[tuple[str, ...]] = [
            ("  trade", "tokens", "price", "proceeds", "executed by", "approved by")
        ]
        rows += [_trade(trade) for trade in trades[:TRADES_SHOWN]]
        return [
            _title(f"Trades of Forge: {len(trades)}, each with the approval that caused it"),
            *table(rows, right=(1, 2, 3)),
            *_rest(len(trades), TRADES_SHOWN),
        ]

    def _refusals(self) -> list[str]:
        refusals = self.report.refusals
        rows = [
            (f"  {line.kind}", f"{line.agent} {line.revision}", line.command, line.reason)
            for line in refusals[:REFUSALS_SHOWN]
        ]
        lines = table(rows) if rows else ["  none"]
        return [
            _title(f"Refusals: {len(refusals)}"),
            *lines,
            *_rest(len(refusals), REFUSALS_SHOWN),
        ]

    def _books(self) -> list[str]:
        ledger, saga = self.report.ledger, self.report.saga
        return [
            _title("Fuel's ledger and Bridge's transfers"),
            f"  {ledger.entries:,} entries: debits {_dollars(ledger.debits)}, credits"
            f" {_dollars(ledger.credits)}, balance {_dollars(ledger.balance)}"
            + (f"; {ledger.unbalanced} entries do not balance" if ledger.unbalanced else ""),
            f"  {saga.completed} transfers completed, {saga.compensated} compensated after their"
            f" second leg failed, {saga.failed} failed; profit {_dollars(saga.profit)}",
        ]

    def _audit(self) -> list[str]:
        audit = self.report.audit
        lines = [_title("The driver's log and all effects, against the journal")]
        for word, faults in (
            ("lost", audit.lost),
            ("doubled", audit.doubled),
            ("from nowhere", audit.strays),
        ):
            color = "red" if faults else "green"
            lines.append(f"  {typer.style(f'{len(faults)} {word}', fg=color, bold=True)}")
            lines += [f"    {_fault(fault)}" for fault in faults[:FAULTS_SHOWN]]
            lines += _rest(len(faults), FAULTS_SHOWN)
        return lines

    def _further(self) -> list[str]:
        return [_title("Look further"), *(f"  {command}" for command in self.commands())]


def _trade(trade: TradeLine) -> tuple[str, ...]:
    return (
        f"  {trade.trade}",
        f"{trade.amount / MICRO:,.0f}",
        f"{trade.price / MICRO:.4f}",
        f"{trade.proceeds / MICRO:,.0f}",
        trade.executed_by,
        f"{trade.approved_by} (no. {trade.approval})" if trade.approved_by else "NOBODY",
    )


def _fault(fault: DeliveryFault) -> str:
    source = fault.source or "an unknown sender"
    return f"{fault.name} from {source} to {fault.agent}: {fault.times} commits (id {fault.id})"


def _rest(count: int, shown: int) -> list[str]:
    return [f"  … and {count - shown} more: see them all with --json"] if count > shown else []


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _dollars(micros: int) -> str:
    return f"${micros / MICRO:,.2f}"


def _title(text: str) -> str:
    return typer.style(text, bold=True)
