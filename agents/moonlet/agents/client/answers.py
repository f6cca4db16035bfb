"""A client's inbox for answers, and what an answer means to the caller."""

import asyncio

from moonlet.core import errors
from moonlet.core.errors import (
    Expired,
    MoonletError,
    Rejected,
    Unavailable,
)
from moonlet.streams import Answer, Bus, Message, Subscription, decode_answer


class Answers:
    """One wildcard inbox; each question has a token of its own."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._inbox = bus.new_inbox()
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._count = 0
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Listen."""
        self._subscription = await self._bus.subscribe(f"{self._inbox}.*", self._arrive)

    async def close(self) -> None:
        """Stop; who still waits gets `Unavailable`."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Unavailable("the client was closed"))
                future.exception()  # whoever waits has it; nobody else is to be warned
        self._waiting.clear()

    def expect(self) -> "tuple[str, asyncio.Future[Answer]]":
        """A reply subject, and the future of what arrives there; `forget` it afterwards."""
        self._count += 1
        subject = f"{self._inbox}.{self._count}"
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[subject] = future
        return subject, future

    def forget(self, subject: str) -> None:
        """Nobody waits for this any more."""
        self._waiting.pop(subject, None)

    def _arrive(self, message: Message) -> None:
        future = self._waiting.get(message.subject)
        if future is None or future.done():
            return
        try:
            future.set_result(decode_answer(message.data, message.headers))
        except MoonletError as error:
            future.set_exception(error)


def error_of(answer: Answer) -> MoonletError | None:
    """The error to raise for an answer; None if the command was accepted, or the query answered."""
    if answer.outcome in ("accepted", "answered"):
        return None
    if answer.outcome == "expired":
        return Expired(f"the command expired: {answer.reason}; send it again with a later deadline")
    if answer.outcome == "parked":
        return Rejected(
            f"parked: {answer.reason}; see the agent's history, mend the handler, send it again"
        )
    known = getattr(errors, answer.error, None) if answer.error in _SIMPLE else None
    if known is not None:
        error: MoonletError = known(answer.reason)
        return error
    return Rejected(answer.reason)


_SIMPLE = frozenset(
    {
        "Conflict",
        "Corrupt",
        "InvalidAgentType",
        "InvalidId",
        "InvalidMessage",
        "LimitExceeded",
        "PayloadTooLarge",
        "Unavailable",
        "Undecodable",
        "UnknownAgentType",
        "UnknownCommand",
    }
)
"""Error classes that an answer may name, each made from its message alone."""
