"""Operating a replica from another process: it is asked, and answers how it stands.

Core NATS, a subject per replica, for as long as the replica is open: also while it is paused, or
stopped by an event. Whoever may publish there may operate it; a journal is never touched.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from moonlet.core.errors import Corrupt, Invalid, MoonletError, PayloadTooLarge, Unavailable
from moonlet.core.frontier import Frontier
from moonlet.core.ids import check_name
from moonlet.projections import view_subjects
from moonlet.streams import Bus, Message, Subscription
from moonlet.telemetry import get_logger

log = get_logger(__name__)

Action = Literal["status", "pause", "resume", "retry", "skip", "seek"]

MAX_ORDERS: Final = 16
"""Orders that wait for their turn at one replica; further ones are refused."""

STATUS_SECONDS: Final = 5.0
"""Until a replica that listens is taken for stuck: a digest of a large view takes its time."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of a replica; `to` is the frontier to `seek`."""

    action: Action
    to: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}


class Status(msgspec.Struct, frozen=True, tag_field="answer", tag="status"):
    """How a replica is now.

    `standing` is `running`, `paused`, or the name of the error that stopped it; `failure` is that
    error in words, with `stream`, `sequence` and `type` if an event was the cause. `digest` is
    empty if what it holds may be wrong. `peer` is its name among replicas while it talks to them;
    `skipped` are the commits it leaves out.
    """

    replica: str
    view: str
    version: int
    standing: str
    frontier: dict[str, int]
    durable: dict[str, int]
    digest: str = ""
    peer: str = ""
    skipped: tuple[str, ...] = ()
    failure: str = ""
    stream: str = ""
    sequence: int = 0
    type: str = ""


class Refusal(msgspec.Struct, frozen=True, tag_field="answer", tag="refusal"):
    """An order that wasn't carried out: which kind of error, and what it says."""

    error: str
    message: str


class Control:
    """A replica's ear: carries out one order at a time, and answers with its status."""

    def __init__(
        self,
        bus: Bus,
        subject: str,
        status: Callable[[], Status],
        operations: Mapping[str, Callable[[Frontier], Awaitable[None]]],
    ) -> None:
        self._bus = bus
        self._subject = subject
        self._status = status
        self._operations = operations
        self._subscription: Subscription | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Listen; raises `Unavailable`."""
        self._subscription = await self._bus.js.subscribe(self._subject, self._hear)

    async def close(self) -> None:
        """Listen no more; what is under way is cancelled, as its caller sees by the silence."""
        if self._subscription is not None:
            try:
                await self._subscription.unsubscribe()
            except Unavailable:
                pass  # the connection is gone, and what hung on it
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear(self, message: Message) -> None:
        if not message.reply:
            return
        if len(self._tasks) >= MAX_ORDERS:
            words = f"{MAX_ORDERS} orders wait for their turn already: try again later"
            self._say(message, Refusal("Unavailable", words))
            return
        task = asyncio.create_task(self._answer(message), name=f"control: {self._subject}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Message) -> None:
        answer: Status | Refusal
        try:
            order = _order(message.data)
            if order.action != "status":
                async with self._turn:
                    log.warning("a replica is operated", subject=self._subject, to=order.action)
                    await self._operations[order.action](Frontier.of(order.to))
            answer = self._status()
        except msgspec.MsgspecError as error:
            answer = Refusal("Invalid", f"an order can't be read: {error}")
        except MoonletError as error:
            answer = Refusal(_kind(error), str(error))
        except Exception as error:
            log.exception("an order failed", subject=self._subject)
            answer = Refusal("MoonletError", f"{type(error).__name__}: {error}; see its log")
        self._say(message, answer)

    def _say(self, message: Message, answer: Status | Refusal) -> None:
        try:
            self._bus.js.post(message.reply, _encode(answer))
        except (Unavailable, PayloadTooLarge) as error:
            log.info("an answer was lost", subject=self._subject, error=str(error))


async def operate(
    bus: Bus,
    view: str,
    replica: str,
    action: Action,
    *,
    to: Frontier | None = None,
    timeout: float = STATUS_SECONDS,
) -> Status:
    """Have a replica, named as in the registry, do something; returns how it stands then.

    Raises `Unavailable` if it doesn't answer (what was asked may be done nevertheless), else what
    the replica raises, as `Invalid`, `Corrupt` or `Unavailable`.
    """
    subject = view_subjects.control(bus, check_name(view, "view"), check_name(replica, "replica"))
    order = _encode(Order(action, to.sequences if to is not None else {}))
    try:
        message = await bus.js.request(subject, order, timeout=timeout)
    except Unavailable as error:
        raise Unavailable(
            f"replica {replica} of view {view} doesn't answer ({str(error).rstrip('.')}): it was"
            " killed or is cut off, if it isn't busy; `moonlet views` lists those that are here"
        ) from None
    try:
        answer: Status | Refusal = _ANSWERS.decode(message.data)
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"the answer of replica {replica} can't be read ({error}): run one version of Moonlet"
        ) from None
    if isinstance(answer, Refusal):
        raise _RAISED.get(answer.error, MoonletError)(f"replica {replica}: {answer.message}")
    return answer


def _kind(error: MoonletError) -> str:
    return next((name for name, kind in _RAISED.items() if isinstance(error, kind)), "MoonletError")


_RAISED: Final[Mapping[str, type[Any]]] = {
    "Invalid": Invalid,
    "Corrupt": Corrupt,
    "Unavailable": Unavailable,
}
_encode: Final = msgspec.json.Encoder().encode
_order: Final = msgspec.json.Decoder(Order).decode
_ANSWERS: Final = msgspec.json.Decoder[Status | Refusal](Status | Refusal)
