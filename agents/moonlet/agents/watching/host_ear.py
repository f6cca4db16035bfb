"""A host's ear for who watches it: it answers what it is asked, and carries nothing out unasked."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple

import msgspec

from moonlet.agents.watching.told import ASKED_MAX, PART_MAX, PARTS_MAX, ToldPart, encode
from moonlet.core.errors import MoonletError, PermissionDenied
from moonlet.streams import Bus, Message, Subscription
from moonlet.telemetry import get_logger

log = get_logger(__name__)

ASKED_AT_ONCE: Final = 8
"""Questions that one host answers at a time; further ones are refused."""

ENVELOPE: Final = 2_048
"""Bytes that a part takes beside its items, words about troubles included."""

WORDS_MAX: Final = 500
"""Characters of a trouble."""


class WatchAnswer(NamedTuple):
    """What a host answers: plain items, and what could not be looked at."""

    items: Sequence[Any]
    troubles: Sequence[str] = ()


class HostEar:
    """Listens while it is open: `async with HostEar(bus, lambda: host.id, topics)`.

    `topics` answer questions of their name, given as bytes; a `MoonletError` is told to who asked.
    Who may publish to `<prefix>.watch.>` may ask. Who may not subscribe there is deaf, and logs it.
    """

    def __init__(
        self,
        bus: Bus,
        host: Callable[[], str],
        topics: Mapping[str, Callable[[bytes], Awaitable[WatchAnswer]]],
    ) -> None:
        self._bus = bus
        self._host = host
        self._topics = topics
        self._subscription: Subscription | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "HostEar":
        try:
            subject = self._bus.subjects.watch("*")
            self._subscription = await self._bus.subscribe(subject, self._hear)
        except PermissionDenied as error:
            log.info("this host tells nothing to who watches", error=str(error))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear(self, message: Message) -> None:
        if not self._bus.subjects.may_answer(message.reply):
            return
        topic = message.subject.rpartition(".")[2]
        answer = self._topics.get(topic)
        if answer is None:
            self._say(message, ToldPart(self._host(), last=True, refused=f"it tells no {topic}"))
        elif len(message.data) > ASKED_MAX:
            why = f"a question of more than {ASKED_MAX} bytes"
            self._say(message, ToldPart(self._host(), last=True, refused=why))
        elif len(self._tasks) >= ASKED_AT_ONCE:
            why = f"{ASKED_AT_ONCE} questions are being answered: ask again later"
            self._say(message, ToldPart(self._host(), last=True, refused=why))
        else:
            task = asyncio.create_task(self._answer(message, answer), name=f"watched: {topic}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, message: Message, answer: Callable[[bytes], Awaitable[WatchAnswer]]
    ) -> None:
        try:
            found = await answer(message.data)
            size = min(PART_MAX, self._bus.max_payload) - ENVELOPE
            for part in parts(self._host(), found, size):
                self._say(message, part)
                await asyncio.sleep(0)
        except MoonletError as error:
            refused = f"{error!s:.{WORDS_MAX}}"
            self._say(message, ToldPart(self._host(), last=True, refused=refused))
        except Exception as error:
            log.error("who watches could not be answered", about=message.subject, exc_info=error)
            refused = f"it failed: {error!r:.{WORDS_MAX}}"
            self._say(message, ToldPart(self._host(), last=True, refused=refused))

    def _say(self, message: Message, told: ToldPart) -> None:
        try:
            self._bus.post(message.reply, encode(told))
        except MoonletError as error:
            log.info("an answer was lost", subject=message.subject, error=str(error))


def parts(host: str, found: WatchAnswer, size: int) -> Iterator[ToldPart]:
    """The answer in parts of `size` bytes of items at most; what can't be sent is a trouble."""
    troubles = [f"{trouble:.{WORDS_MAX}}" for trouble in found.troubles[:2]]
    held: list[msgspec.Raw] = []
    number = bytes_ = left_out = 0
    for item in found.items:
        raw = encode(item)
        if len(raw) > size or number >= PARTS_MAX:
            left_out += 1
            continue
        if held and bytes_ + len(raw) + 1 > size:
            yield ToldPart(host, number, False, held)
            number, held, bytes_ = number + 1, [], 0
        held.append(msgspec.Raw(raw))
        bytes_ += len(raw) + 1
    if left_out:
        troubles.append(f"{left_out} of what was found is too large to be sent")
    yield ToldPart(host, number, True, held, "", troubles)
