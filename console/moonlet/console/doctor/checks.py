"""What `doctor` looks at: each check gives findings, and for what is not right also the fix."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from moonlet.console.common import Session, counted
from moonlet.console.doctor.finding import Finding, Level
from moonlet.console.doctor.presence import PresenceChecks
from moonlet.core.errors import MoonletError, PermissionDenied, Unavailable
from moonlet.core.ids import AgentId
from moonlet.streams import (
    NATIVE,
    Bus,
    Home,
    clock_offset,
    may_publish,
    plan_topology,
    replication_of,
    server_facts,
    storage_used,
    stream_names,
    sync_mode,
)

DISK_LOW: Final = 0.10
"""The free part of the disk below which there is a warning; below a tenth of it, a failure."""

CLOCK_WARN: Final = 1.0
CLOCK_FAIL: Final = 30.0
"""Seconds between the server's clock and ours: deadlines and timers are that far off."""


class DoctorChecks:
    """All checks of one server, in order."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._bus: Bus = session.moon.bus
        self._streams: list[str] = []

    async def findings(self) -> AsyncIterator[Finding]:
        """One after the other; a check that can't be done is a finding too."""
        checks: tuple[tuple[str, Callable[[], Awaitable[list[Finding]]]], ...] = (
            ("server", self._server),
            ("jetstream", self._jetstream),
            ("fsync", self._fsync),
            ("disk", self._disk),
            ("permissions", self._permissions),
            ("streams", self._topology),
            ("replicas", self._replicas),
            ("clock", self._clock),
            ("hosts", lambda: self._presence.hosts()),
            ("journals", lambda: self._presence.journals()),
            ("foreign records", lambda: self._presence.foreign_records()),
            ("foreign subjects", lambda: self._presence.foreign_subjects()),
            ("foreign messages", lambda: self._presence.foreign_messages()),
            ("parked", lambda: self._presence.parked()),
            ("rust core", _native),
        )
        for name, check in checks:
            try:
                found = await check()
            except PermissionDenied as error:
                fix = f"allow the user {error.subject or 'what it asked for'}"
                found = [Finding(name, "FAIL", f"not allowed to look: {error}", fix)]
            except MoonletError as error:
                found = [Finding(name, "FAIL", str(error), "mend that, then run doctor again")]
            for finding in found:
                yield finding

    @property
    def _presence(self) -> PresenceChecks:
        server = self._session.server
        is_ours = server is not None and server.owned
        return PresenceChecks(self._bus, self._streams, is_ours=is_ours)

    async def _server(self) -> list[Finding]:
        info = await server_facts(self._bus)
        where = self._session.where
        rtt = f"{info['rtt'] * 1_000:.2f} ms away"
        return [Finding("server", "OK", f"nats-server {info['version']} at {where}, {rtt}")]

    async def _jetstream(self) -> list[Finding]:
        used, limit = await storage_used(self._bus)
        self._streams = await stream_names(self._bus)
        said = f"{counted(len(self._streams), 'stream')}, {_bytes(used)} stored"
        if limit < 0:
            return [Finding("jetstream", "OK", said)]
        said = f"{said} of {_bytes(limit)}"
        if used > limit * 0.9:
            fix = "raise the account's max_storage: at the limit nothing is accepted any more"
            return [Finding("jetstream", "WARN", said, fix)]
        return [Finding("jetstream", "OK", said)]

    async def _fsync(self) -> list[Finding]:
        server = self._session.server
        mode = await sync_mode(self._bus, server.monitoring_url if server else None)
        if mode == "always":
            said = "the server waits for the disk: what it acknowledged survives power loss"
            return [Finding("fsync", "OK", said)]
        if mode == "unknown":
            said = "the server doesn't say whether it waits for the disk"
            fix = "ask as a user of the system account, or see `jetstream { sync_interval }`"
            return [Finding("fsync", "WARN", said, fix)]
        said = f"the disk is synced every {mode:g} s: power loss may lose what came since"
        fix = "set `jetstream { sync_interval: always }` (kill -9 loses nothing either way)"
        return [Finding("fsync", "WARN", said, fix)]

    async def _disk(self) -> list[Finding]:
        if self._session.server is None:
            said = "the server's disk can't be seen from here"
            return [Finding("disk", "OK", said)]
        return [_disk_of(self._folder), _mode_of(self._folder / ".moonlet")]

    async def _permissions(self) -> list[Finding]:
        """Try what clients and hosts do, in a way that stores nothing."""
        prefix = self._bus.subjects.prefix
        probe = AgentId("doctor", "doctor")
        subjects = self._bus.subjects
        wanted = [
            subjects.mailbox(probe, "low", Home(1)),
            subjects.internal(probe, "low", Home(1)),
            subjects.call(probe),
            subjects.journal(probe),
            subjects.timer(probe, "doctor", 1),
            subjects.snapshot(probe),
            subjects.parked(probe),
            subjects.topic("doctor"),
            subjects.blob("doctor", 0),
            f"$KV.{prefix}-leases.doctor",
            f"$KV.{prefix}-registry.doctor",
        ]
        denied = [subject for subject in wanted if not await may_publish(self._bus, subject)]
        if denied:
            said = f"may not publish to {', '.join(denied)}"
            fix = "clients need cmd, hosts all of them: allow these subjects to the user"
            return [Finding("permissions", "FAIL", said, fix)]
        subject = subjects.owners("query", "doctor", "", 0)
        try:
            subscription = await self._bus.subscribe(subject, lambda message: None)
        except PermissionDenied:
            said = f"may not subscribe to {subject}: a host could answer no query"
            return [Finding("permissions", "FAIL", said, f"allow {prefix}.> to the user")]
        await subscription.unsubscribe()
        return [Finding("permissions", "OK", "may do all that clients and hosts do")]

    async def _topology(self) -> list[Finding]:
        steps = await plan_topology(self._bus)
        if steps and all(step.action == "create" for step in steps) and not self._ours():
            said = "none of ours yet: the first host makes them"
            return [Finding("streams", "OK", said)]
        found = []
        for step in steps:
            told = ", ".join(step.differences) or "it is missing"
            unsafe = step.action == "refuse" or any("num_replicas" in d for d in step.differences)
            level: Level = "FAIL" if unsafe else "WARN"
            fix = "set it back with the `nats` tool, or use another prefix"
            if step.action != "refuse":
                fix = "moonlet topology apply" if step.action == "update" else "start a host"
            found.append(Finding("streams", level, f"{step.stream}: {told}", fix))
        return found or [Finding("streams", "OK", "all are configured as they should be")]

    async def _replicas(self) -> list[Finding]:
        """Whether as many replicas are here as were asked for."""
        asked = self._bus.topology.replicas
        found: list[Finding] = []
        for name in sorted(self._ours()):
            try:
                standing = await replication_of(self._bus, name)
            except Unavailable as error:
                said = f"{name}: no replica leads, of {asked} that were asked for: {error}"
                fix = "start the servers that hold it: until then nothing is accepted"
                return [*found, Finding("replicas", "FAIL", said, fix)]
            if standing is None or standing.alive >= asked:
                continue
            gone = ", ".join(standing.missing) or "no server has them"
            said = f"{name}: {standing.alive} of {asked} replicas are here; gone or behind: {gone}"
            if standing.leader and standing.alive > asked // 2:
                fix = "bring that server back: one more and nothing is accepted"
                found.append(Finding("replicas", "WARN", said, fix))
            else:
                fix = "start the servers; for a stream of fewer replicas: moonlet topology apply"
                found.append(Finding("replicas", "FAIL", said, fix))
        said = f"each stream is on {counted(asked, 'server')}, as was asked for"
        return found or [Finding("replicas", "OK", said)]

    def _ours(self) -> set[str]:
        wanted = {config["name"] for config in self._bus.topology.configs()}
        return wanted & set(self._streams)

    async def _clock(self) -> list[Finding]:
        offset = None
        for name in sorted(self._ours()) or self._streams:
            offset = await clock_offset(self._bus, name)
            break
        if offset is None:
            return [Finding("clock", "OK", "nothing to compare with: the server has no stream")]
        ahead = "ahead of" if offset.seconds >= 0 else "behind"
        said = (
            f"the server's is {abs(offset.seconds) * 1_000:.0f} ms {ahead} ours"
            f" (± {offset.error * 1_000:.0f} ms)"
        )
        beyond = abs(offset.seconds) - offset.error
        level: Level = "FAIL" if beyond > CLOCK_FAIL else "WARN" if beyond > CLOCK_WARN else "OK"
        fix = "" if level == "OK" else "run NTP on both: deadlines and timers are that far off"
        return [Finding("clock", level, said, fix)]


async def _native() -> list[Finding]:
    return [Finding("rust core", "OK", NATIVE.reason)]


def _disk_of(folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    free = usage.free / usage.total
    said = f"{_bytes(usage.free)} free of {_bytes(usage.total)} ({free:.0%})"
    if free >= DISK_LOW:
        return Finding("disk", "OK", said)
    level: Level = "FAIL" if free < DISK_LOW / 10 else "WARN"
    return Finding("disk", level, said, "free some: on a full disk no command is accepted")


def _mode_of(home: Path) -> Finding:
    mode = home.stat().st_mode & 0o777
    if mode & 0o077:
        said = f"{home} has mode {mode:o}: others on this machine can get at the data"
        return Finding("folder", "WARN", said, f"chmod 700 {home}")
    return Finding("folder", "OK", f"{home} is ours alone")


def _bytes(count: int) -> str:
    value: Any = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
