"""The night's driver: tells what it begins with, then tells Oracle each price. No more than that.

It keeps a log of its own of what it sent, which the report compares with the journal.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from moonlet.core import (
    Commit,
    InvalidSettings,
    MailboxFull,
    Unavailable,
    Unknown,
    UnknownAgentType,
)
from moonlet.satellites.night.audit import SentCommand, unanswered
from moonlet.satellites.night.feed import Quote, readings
from moonlet.satellites.night.script import AGENTS, ASSET, DESK, FEED, seeds
from moonlet.satellites.oracle import FeedStatus, ValidateOracleFeed

RUN_SECONDS: Final = 12.0
"""How long the ticks take at speed 1, however many there are."""

PATIENCE: Final = 30.0
"""Seconds that one command may take to be stored, a host to come up, or the end to be reached."""

POLL: Final = 0.05
DAY: Final = 86_400
ORACLE: Final = f"oracle/{DESK}"

Progress = Callable[[int, int], None]


class NightReceipt(Protocol):
    """What `tell` gives: the command is durable."""

    id: str

    async def committed(self, timeout: float = ...) -> Commit[Any]:
        """The command's commit."""
        ...


class NightClient(Protocol):
    """What the driver needs of a client of `connect()`."""

    async def tell(
        self, agent: str, command: Any, *, id: str | None = ..., timeout: float = ...
    ) -> NightReceipt:
        """Store a command."""
        ...

    async def query(self, agent: str, query: Any, *, timeout: float = ...) -> Any:
        """Ask about acknowledged state."""
        ...

    def history(
        self, agent: str, from_: int = ..., to: int | None = ..., follow: bool = ...
    ) -> AsyncIterator[Commit[Any]]:
        """The agent's commits."""
        ...


class Drive(Struct, frozen=True):
    """What the driver did: the commands it knows to be stored, in order, and all commits."""

    sent: tuple[SentCommand, ...]
    commits: dict[str, list[Commit[Any]]]
    first_tick: int
    ticks: int


async def drive(
    moon: NightClient,
    feed: Sequence[Quote],
    *,
    speed: float = 1.0,
    progress: Progress | None = None,
) -> Drive:
    """Take the satellites through a feed, and wait until nothing is under way any more.

    `progress` is called with (ticks told, ticks in all) before the first tick and after each.
    Where ticks are stored already it goes on after them: with the rest of the feed, or with all of
    it again, at later days. `speed` 2 is twice as fast. Cancelled, or with a host gone for longer
    than `PATIENCE`, it leaves what was told on its way: drive again to go on.
    """
    if not 0 < speed < float("inf"):
        raise InvalidSettings(f"speed {speed}: give a number above zero, like 2 for twice as fast")
    log: list[SentCommand] = []
    stored = (await _status(moon))["tick"]
    if stored == 0:
        await _seed(moon, feed, log)
    todo = range(stored, stored - stored % len(feed) + len(feed))
    loop = asyncio.get_running_loop()
    start = loop.time()
    for done, number in enumerate(todo):
        if progress is not None:
            progress(done, len(todo))
        await asyncio.sleep(max(0.0, start + done * RUN_SECONDS / len(todo) / speed - loop.time()))
        await _tell(moon, ORACLE, tick(feed, number), f"{DESK}-tick-{number + 1}", log)
    if progress is not None:
        progress(len(todo), len(todo))
    commits = await settle(moon, log)
    return Drive(tuple(log), commits, stored + 1, len(todo))


def tick(feed: Sequence[Quote], number: int) -> ValidateOracleFeed:
    """The command of tick `number` + 1. Beyond the feed's end it begins anew, whole days later."""
    turn, index = divmod(number, len(feed))
    days = (feed[-1].at - feed[0].at) // DAY + 1
    at = feed[index].at + turn * days * DAY
    return ValidateOracleFeed(FEED, ASSET, number + 1, at, readings(feed, index, at))


async def _seed(moon: NightClient, feed: Sequence[Quote], log: list[SentCommand]) -> None:
    """Tell the beginning, and wait until all of it is committed: no tick may overtake it.

    The ids are the same each time, so that a driver that died half-way does no harm.
    """
    receipts = [
        await _tell(moon, agent, command, f"{DESK}-seed-{number}", log)
        for number, (agent, command) in enumerate(seeds(feed[0].price, 1), 1)
    ]
    for receipt in receipts:
        await receipt.committed(timeout=PATIENCE)


async def _status(moon: NightClient) -> dict[str, Any]:
    """Oracle's status, once a host is up that has registered it."""
    until = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            status: dict[str, Any] = await moon.query(ORACLE, FeedStatus(FEED), timeout=5.0)
            return status
        except (Unavailable, UnknownAgentType):
            if asyncio.get_running_loop().time() >= until:
                raise
            await asyncio.sleep(POLL)


async def _tell(
    moon: NightClient, agent: str, command: Any, id: str, log: list[SentCommand]
) -> NightReceipt:
    """Tell until it is known to be stored, then log it. Repeating is harmless: it is one id."""
    until = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            receipt = await moon.tell(agent, command, id=id, timeout=5.0)
        except (MailboxFull, Unavailable, Unknown):
            if asyncio.get_running_loop().time() >= until:
                raise
            await asyncio.sleep(POLL)
        else:
            log.append(SentCommand(receipt.id, agent, type(command).__name__))
            return receipt


async def settle(moon: NightClient, log: Iterable[SentCommand]) -> dict[str, list[Commit[Any]]]:
    """Read all commits once every command, send and call is answered, or `PATIENCE` is over.

    Whatever is then still missing shows in the report.
    """
    sent = tuple(log)
    commits: dict[str, list[Commit[Any]]] = {agent: [] for agent in AGENTS}
    until = asyncio.get_running_loop().time() + PATIENCE
    while True:
        for agent, known in commits.items():
            async for commit in moon.history(agent, from_=len(known) + 1):
                known.append(commit)
        if not unanswered(commits, sent) or asyncio.get_running_loop().time() >= until:
            return commits
        await asyncio.sleep(POLL)
