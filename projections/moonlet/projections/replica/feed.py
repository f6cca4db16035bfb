"""A journal's feed: every commit it stores is folded, in its order, from the frontier on.

The consumer is ours alone and forgets nothing: it starts behind the frontier that the file holds.
Whenever anything is odd (a gap in its deliveries, fewer arrived than were sent, silence, a
reconnect) it is made anew; and with every consumer the journal is probed.
"""

import asyncio
from typing import Any, Final

from moonlet.core.errors import Corrupt, Unavailable
from moonlet.projections.errors import PoisonedEvent
from moonlet.projections.replica.materialized_view import MaterializedView
from moonlet.projections.replica.probe import digest_of, probe
from moonlet.projections.values import JournalId
from moonlet.streams import (
    Bus,
    Delivery,
    Journal,
    PullStatus,
    ServerRefused,
    StoredMessage,
    last_message,
    stream_facts,
    with_record,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

BATCH: Final = 2_000
"""Messages asked for at a time; at most twice as many are in memory."""

PULL_EXPIRES: Final = 1.0
"""Seconds that a pull waits at the server; short, since it is lost with its connection."""

SILENCE: Final = 3.0
"""Seconds after a pull's expiry behind which its answer is taken for lost."""

LOOK: Final = 0.05
"""Seconds between looks at the journal's end, while somebody waits and nothing comes."""


class JournalFeed:
    """Folds one journal into its view until it is cancelled, or something must stop it."""

    def __init__(self, bus: Bus, journal: JournalId, materialized: MaterializedView) -> None:
        self._bus = bus
        self._journal = journal
        self._materialized = materialized
        self._config: dict[str, Any] = {
            "deliver_policy": "by_start_sequence",
            "ack_policy": "none",
            "inactive_threshold": 30 * 10**9,
            "mem_storage": True,
            "num_replicas": 1,
        }
        if len(journal.subjects) == 1:
            self._config["filter_subject"] = journal.subjects[0]
        else:
            self._config["filter_subjects"] = list(journal.subjects)
        self._wake = asyncio.Event()
        self._broken = False
        self._arrived: list[StoredMessage] = []
        self._next = 1
        self._asked = 0
        self._got = 0
        self.live = True
        """Whether the journal is being read; not while it can't be reached."""

    async def run(self) -> None:
        """Fold for ever. Raises `JournalFault`, `PoisonedEvent`, the file's errors: all final."""
        attempt = 0
        remove = self._bus.on_reconnect(self.restart)
        try:
            while True:
                before = self._at
                try:
                    await self._follow()
                except (Unavailable, ServerRefused) as error:
                    log.info("waiting for a journal", journal=self._journal.name, error=str(error))
                self.live = False
                attempt = 1 if self._at > before else attempt + 1
                await self._bus.backoff(attempt)
        finally:
            remove()
            self.live = False

    def restart(self) -> None:
        """Make the consumer anew, from the frontier as it is then."""
        self._broken = True
        self._wake.set()

    def look(self) -> None:
        """Somebody waits: find out whether the frontier may rise."""
        self._wake.set()

    @property
    def _at(self) -> int:
        state = self._materialized.state
        return state.vector[state.journals.index[self._journal.name]]

    # -- one consumer ----------------------------------------------------------------------------

    async def _follow(self) -> None:
        """One consumer's life; returns when another is needed."""
        js, name = self._bus._js, self._journal.name
        state = self._materialized.state
        mark = state.marks[state.journals.index[name]]
        config = {
            **self._config,
            "name": f"view-{self._bus.entropy.token()}",
            "opt_start_seq": self._at + 1,
        }
        self._arrived, self._next, self._asked, self._got = [], 1, 0, 0
        self._broken = False
        try:
            await js.create_consumer(name, config)
            # After the consumer, which lives and dies with the stream that it was created on.
            await probe(self._bus, self._journal, self._at, mark)
            pull = await js.open_pull(name, config["name"], self._on_delivery, self._on_status)
            try:
                self.live = True
                await self._read(pull)
            finally:
                await pull.close()
        except ServerRefused:
            # A stream that is gone can't have a consumer; the probe says so in better words.
            await probe(self._bus, self._journal, self._at, mark)
            raise
        finally:
            try:
                await js.delete_consumer(name, config["name"])
            except (Unavailable, ServerRefused):
                pass  # it ends by itself after inactive_threshold

    async def _read(self, pull: Any) -> None:
        name = self._journal.name
        while not self._broken:
            if not self._asked and len(self._arrived) < BATCH:
                self._asked, self._got = BATCH, 0
                pull.request(BATCH, expires=PULL_EXPIRES)
            if not self._arrived and not await self._woken():
                return
            batch, self._arrived = self._arrived, []
            if batch:
                await self._fold(batch)
            elif self._is_filtered or self._materialized.lacks(name):
                await self._rise()

    async def _fold(self, batch: list[StoredMessage]) -> None:
        name, materialized = self._journal.name, self._materialized
        whole: list[StoredMessage] = []
        lost: PoisonedEvent | None = None
        for message in batch:
            try:
                whole.append(await with_record(self._bus, name, message))
            except Corrupt as error:
                if materialized.leaves_out(name, message.sequence):
                    whole.append(message)
                    continue
                lost = materialized.poisoned(name, message.sequence, error)
                lost.__cause__ = error
                break
        if not self._broken:  # else it is perhaps another journal by now
            materialized.fold(name, whole)
            if lost is not None:
                raise lost
        await asyncio.sleep(0)

    async def _woken(self) -> bool:
        """Wait for a delivery, a status, or a reason to look; False after too long a silence."""
        lacking = self._materialized.lacks(self._journal.name)
        self._wake.clear()
        try:
            async with asyncio.timeout(LOOK if lacking else PULL_EXPIRES + SILENCE):
                await self._wake.wait()
        except TimeoutError:
            return lacking
        return True

    @property
    def _is_filtered(self) -> bool:
        return self._journal.subjects != (">",)

    async def _rise(self) -> None:
        """Take the frontier to the journal's end, if nothing of ours stands before it.

        The end is read first: what is stored later can't be missed.
        """
        name, bus = self._journal.name, self._bus
        facts = await stream_facts(bus, name)
        end = 0 if facts is None else facts.last
        if end <= self._at:
            return
        for subject in self._journal.subjects:
            last = await last_message(bus, name, subject)
            if last is not None and last.sequence > self._at:
                return
        message = await Journal(bus, name).message(end)
        digest = "" if message is None else digest_of(name, message)
        if not self._broken and not self._arrived:
            self._materialized.rise(name, end, digest)

    def _on_delivery(self, delivery: Delivery) -> None:
        if self._broken:
            return
        if delivery.consumer_sequence != self._next:
            log.warning("gap in deliveries", journal=self._journal.name, expected=self._next)
            self.restart()
            return
        self._next += 1
        self._got += 1
        if self._got >= self._asked:
            self._asked = 0
        self._arrived.append(
            StoredMessage(
                delivery.subject,
                delivery.sequence,
                delivery.time,
                delivery.headers,
                delivery.data,
            )
        )
        self._wake.set()

    def _on_status(self, status: PullStatus) -> None:
        if status.code in (404, 408) and self._got + status.missing >= self._asked:
            self._asked = 0
            self._wake.set()
        else:  # the consumer is gone, or sent more than arrived
            self.restart()
