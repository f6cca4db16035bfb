"""What a host hears of the others, and so when it must read the leases.

Who renews its lease says so. While all others are heard of, nothing can have changed but what is
told, and reading every half second would cost more than all else that idle hosts do. Silence is
what a read looks into: a killed host is noticed as soon as its lease has run out.
"""

import asyncio
import math
from collections.abc import Iterable
from typing import Final

from moonlet.core.ports import Clock
from moonlet.streams import Leases, SignOfLife, Subscription

LOOK_SECONDS: Final = 0.5
"""Between two looks while somebody is silent."""

HINT_SECONDS: Final = 0.01
"""Hints that come within so long are answered by one look."""

TRUSTED: Final = 2 / 3
"""The part of its lease for which a host that was heard of is taken for alive: two renewals."""


class HostWatch:
    """The other hosts, as far as `host` hears of them; each look at the leases is told to `saw`."""

    def __init__(self, leases: Leases, clock: Clock) -> None:
        self._leases = leases
        self._clock = clock
        self._news = asyncio.Event()
        self._ear: Subscription | None = None
        self._trusted: dict[str, float] = {}  # the hosts of the last look, each until when
        self._looked = -math.inf

    async def open(self) -> None:
        """Listen; raises `Unavailable`."""
        self._ear = await self._leases.listen(self._heard)

    async def close(self) -> None:
        """Hear no more."""
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.unsubscribe()

    def saw(self, hosts: Iterable[str]) -> None:
        """The leases were read: these hosts live. Who is new must be heard of to be trusted."""
        self._looked = self._clock.monotonic()
        self._trusted = {host: self._trusted.get(host, 0.0) for host in hosts}

    def look_again(self) -> None:
        """Something is not as it should be yet: don't wait for news."""
        self._looked = -math.inf

    def look_now(self) -> None:
        """Somebody waits for what the leases say."""
        self._news.set()

    async def wait(self, host: str) -> None:
        """Return when `host` should look: at news, at silence, and once a lease anyway."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                if self._must_look(host):
                    return
            else:
                await asyncio.sleep(HINT_SECONDS)
                self._news.clear()
                return

    def _must_look(self, host: str) -> bool:
        now = self._clock.monotonic()
        return now - self._looked >= self._leases.lease or any(
            until < now for other, until in self._trusted.items() if other != host
        )

    def _heard(self, sign: SignOfLife | None) -> None:
        if sign is None or sign.host not in self._trusted:
            self._news.set()
        else:
            self._trusted[sign.host] = self._clock.monotonic() + sign.lease * TRUSTED
