"""Asking all hosts at once, and waiting for those that live."""

import asyncio
from collections.abc import Collection
from typing import Any, Final, NamedTuple

import msgspec

from moonlet.agents.watching.told import ToldPart, decode
from moonlet.core.errors import MoonletError
from moonlet.streams import Bus, Leases, Message

ITEMS_MAX: Final = 200_000
"""Items of all answers together; what comes beyond is left out, and that is a trouble."""

SECONDS: Final = 3.0
"""Seconds that hosts have, from the question to the end of their answers."""

QUIET: Final = 0.3
"""Seconds after the last answer, if nobody said which hosts there are."""


class Gathered(NamedTuple):
    """What each host told, by its id; who said no, or nothing in time, is among the troubles."""

    items: dict[str, list[Any]]
    troubles: list[str]


async def gather(
    bus: Bus,
    topic: str,
    question: bytes = b"",
    *,
    hosts: Collection[str] = (),
    seconds: float = SECONDS,
) -> Gathered:
    """Ask all hosts; returns when `hosts` have answered, or time is up.

    Without `hosts` it returns once none has answered for 0.3 s. Raises `Unavailable` if the
    question can't be sent; that nobody listens is no error.
    """
    asking = _Asking(set(hosts))
    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, asking.hear)
    try:
        bus.post(bus.subjects.watch(topic), question, reply=inbox)
        await asking.wait(seconds)
    finally:
        await subscription.unsubscribe()
    return asking.gathered()


class _Asking:
    def __init__(self, hosts: set[str]) -> None:
        self._hosts = hosts
        self._items: dict[str, list[Any]] = {}
        self._parts: dict[str, int] = {}
        self._count = 0
        self._ended: set[str] = set()
        self._troubles: list[str] = []
        self._heard = asyncio.Event()
        self._nobody = False

    def hear(self, message: Message) -> None:
        self._heard.set()
        if not message.data:
            self._nobody = message.headers is not None  # the server: nobody listens there
            return
        try:
            told = decode(message.data)
            items = [msgspec.json.decode(item) for item in told.items]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._troubles.append(f"an answer can't be read: {error}")
            return
        if told.host in self._ended:
            return
        self._take(told, items)

    def _take(self, told: ToldPart, items: list[Any]) -> None:
        host = told.host
        if self._parts.get(host, 0) != told.part:
            self._troubles.append(f"host {host}: a part of its answer was lost")
        self._parts[host] = told.part + 1
        if told.refused:
            self._troubles.append(f"host {host}: {told.refused}")
        self._troubles += [f"host {host}: {trouble}" for trouble in told.troubles]
        if self._count + len(items) > ITEMS_MAX:
            self._troubles.append(f"host {host}: more than {ITEMS_MAX} in all are left out")
            items = items[: ITEMS_MAX - self._count]
        self._count += len(items)
        self._items.setdefault(host, []).extend(items)
        if told.last:
            self._ended.add(host)

    async def wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while not self._nobody and not (self._hosts and self._hosts <= self._ended):
            left = ends - loop.time()
            if not self._hosts and self._ended and self._ended >= set(self._items):
                left = min(left, QUIET)
            try:
                async with asyncio.timeout(left):
                    await self._heard.wait()
            except TimeoutError:
                return
            self._heard.clear()

    def gathered(self) -> Gathered:
        silent = sorted((self._hosts | set(self._items)) - self._ended)
        troubles = [f"host {host} did not answer in time" for host in silent]
        return Gathered(self._items, self._troubles + troubles)


async def living_hosts(bus: Bus) -> list[str]:
    """Who should answer; nobody if that can't be known."""
    try:
        return [lease.host for lease in await Leases(bus, 1).hosts()]
    except MoonletError:
        return []
