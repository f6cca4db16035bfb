"""Operating a replica from another process: it is asked, and answers how it stands.

Core NATS, a subject per replica, for as long as the replica is open: also while it is paused, or
stopped by an event. Whoever may publish there may operate it; a journal is never touched.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, Literal

import msgspec

from moonlet.core.errors import (
    Conflict,
    Corrupt,
    Invalid,
    LimitExceeded,
    MoonletError,
    PayloadTooLarge,
    PermissionDenied,
    Unavailable,
    Undecodable,
)
from moonlet.core.ids import check_name
from moonlet.projections.view import control_subject
from moonlet.streams import Bus, Message, NoResponders, Subscription
from moonlet.telemetry import get_logger

log = get_logger(__name__)

Action = Literal["status", "pause", "resume", "retry", "skip", "seek"]

MAX_ORDERS: Final = 16
"""Orders that wait for their turn at one replica; further ones are refused, `status` never."""

MAX_ORDER: Final = 65_536
"""Bytes of an order: room for the frontier of as many journals as a view can have."""

MAX_WORDS: Final = 4_000
"""Characters of an error that an answer holds; the rest is in the replica's log."""

STATUS_SECONDS: Final = 5.0
"""Until a replica that listens is taken for stuck: a digest of a large view takes its time."""

NAMESAKE_SECONDS: Final = 0.5
"""Until a replica of the same name is taken for gone."""

SEEK_SECONDS: Final = 60.0
"""What a replica is given to get somewhere, unless an order says otherwise."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of a replica.

    `to` is the frontier to `seek`, in `seconds`; or where the view was seen stopped, if only that
    commit is meant to be skipped.
    """

    action: Action
    to: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = SEEK_SECONDS


class Status(msgspec.Struct, frozen=True, tag_field="answer", tag="status"):
    """How a replica is now.

    `standing` is `running`, `paused`, or the name of the error that stopped it; `failure` is that
    error in words, with `stream`, `sequence` and `type` if an event was the cause. `frontier` and
    `durable` name all journals that the view folds. `digest` is empty while the replica moves, and
    if what it holds may be wrong. `peer` is its name among replicas while it talks to them;
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
    """An order that wasn't carried out: which kind of error, what it says, and where it points."""

    error: str
    message: str
    stream: str = ""
    sequence: int = 0
    type: str = ""


class Control:
    """A replica's ear: carries out one order at a time, and answers with its status."""

    def __init__(
        self,
        bus: Bus,
        subject: str,
        status: Callable[[], Status],
        operations: Mapping[str, Callable[[Order], Awaitable[None]]],
    ) -> None:
        self._bus = bus
        self._subject = subject
        self._status = status
        self._operations = operations
        self._subscription: Subscription | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Listen; raises `Unavailable`. Who may not listen there isn't operated from outside."""
        try:
            self._subscription = await self._bus.subscribe(self._subject, self._hear)
        except PermissionDenied as error:
            log.info("a replica takes no orders", subject=self._subject, error=str(error))

    async def close(self) -> None:
        """Listen no more; what is under way is cancelled, and its caller told so."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear(self, message: Message) -> None:
        if not self._bus.subjects.may_answer(message.reply):
            return
        try:
            order = _read_order(message.data)
        except Invalid as error:
            self._say(message, _refusal(error))
            return
        if order.action == "status":
            self._say(message, self._state())
        elif len(self._tasks) >= MAX_ORDERS:
            words = f"{MAX_ORDERS} orders wait for their turn already: try again later"
            self._say(message, Refusal("Unavailable", words))
        else:
            work = self._carry_out(order, message)
            task = asyncio.create_task(work, name=f"control: {self._subject}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, order: Order, message: Message) -> None:
        answer: Status | Refusal
        try:
            async with self._turn:
                log.warning("a replica is operated", subject=self._subject, to=order.action)
                await self._operations[order.action](order)
            answer = self._state()
        except asyncio.CancelledError:
            words = f"it was closed before it could {order.action}, or while it did"
            self._say(message, Refusal("Unavailable", words))
            raise
        except Exception as error:
            answer = self._refused(error)
        self._say(message, answer)

    def _state(self) -> Status | Refusal:
        try:
            return self._status()
        except Exception as error:
            return self._refused(error)

    def _refused(self, error: Exception) -> Refusal:
        if isinstance(error, MoonletError):
            return _refusal(error)
        log.exception("an order failed", subject=self._subject)
        return Refusal("MoonletError", f"{type(error).__name__}: {error!s:.{MAX_WORDS}}")

    def _say(self, message: Message, answer: Status | Refusal) -> None:
        try:
            self._bus.post(message.reply, _encode(answer))
        except PayloadTooLarge as error:
            refusal = Refusal("LimitExceeded", f"its answer is too large: {error}; see its log")
            self._bus.post(message.reply, _encode(refusal))
        except Unavailable as error:
            log.info("an answer was lost", subject=self._subject, error=str(error))


async def operate(
    bus: Bus,
    view: str,
    replica: str,
    action: Action,
    *,
    to: Mapping[str, int] | None = None,
    timeout: float = SEEK_SECONDS,
) -> Status:
    """Have a replica, named as in the registry, do something; returns how it stands then.

    `to` is where to `seek`, by journal, or the place of the commit to `skip`, and no other.
    `timeout` is what it may take; `status` takes `STATUS_SECONDS` at most. Raises `Unavailable` if
    it doesn't answer (what was asked may be done nevertheless); else as the operation does at the
    replica, by the kinds of the core's tree: `PoisonedEvent` as `Undecodable`, say.
    """
    subject = control_subject(bus, check_name(view, "view"), check_name(replica, "replica"))
    if action != "status":  # one that is gone is known soon, however long the order may take
        await operate(bus, view, replica, "status", timeout=timeout)
    order = Order(action, dict(to or {}), timeout)
    limit = min(timeout, STATUS_SECONDS) if action == "status" else timeout + STATUS_SECONDS
    try:
        message = await bus.request(subject, _encode(order), timeout=limit)
    except NoResponders:
        raise Unavailable(
            f"replica {replica} of view {view} isn't here: it was closed or killed, or is cut off;"
            " `moonlet views` lists those that are"
        ) from None
    except Unavailable as error:
        raise Unavailable(
            f"replica {replica} of view {view} doesn't answer ({str(error).rstrip('.')}): it is cut"
            " off, if it isn't busy; what was asked may be done all the same"
        ) from None
    try:
        answer: Status | Refusal = _ANSWERS.decode(message.data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(
            f"the answer of replica {replica} can't be read ({error}): run one version of Moonlet"
        ) from None
    if isinstance(answer, Refusal):
        raise _raised(replica, answer)
    return answer


async def is_here(bus: Bus, view: str, replica: str) -> bool:
    """Whether a replica of this name runs now, as far as can be seen from here."""
    try:
        await operate(bus, view, replica, "status", timeout=NAMESAKE_SECONDS)
    except Corrupt:
        return True
    except MoonletError:
        return False
    return True


def _read_order(data: bytes) -> Order:
    """Raises `Invalid`."""
    if len(data) > MAX_ORDER:
        raise Invalid(f"an order of {len(data)} bytes is over the limit of {MAX_ORDER}")
    try:
        return _order(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"an order can't be read: {error}") from None


def _refusal(error: MoonletError) -> Refusal:
    kind = next((kind.__name__ for kind in _KINDS if isinstance(error, kind)), "MoonletError")
    return Refusal(
        kind,
        f"{error!s:.{MAX_WORDS}}",
        getattr(error, "stream", ""),
        getattr(error, "sequence", 0),
        getattr(error, "type", ""),
    )


def _raised(replica: str, refusal: Refusal) -> MoonletError:
    words = f"replica {replica}: {refusal.message}"
    if refusal.error == "Undecodable":
        stream, sequence = refusal.stream, refusal.sequence
        return Undecodable(words, stream=stream, sequence=sequence, type=refusal.type)
    if refusal.error == "Corrupt":
        return Corrupt(words, stream=refusal.stream, sequence=refusal.sequence)
    return _RAISED.get(refusal.error, MoonletError)(words)


_KINDS: Final = (
    Invalid,
    Undecodable,
    Corrupt,
    Conflict,
    LimitExceeded,
    PermissionDenied,
    Unavailable,
)
_RAISED: Final[Mapping[str, Callable[[str], MoonletError]]] = {
    kind.__name__: kind for kind in _KINDS
}
_encode: Final = msgspec.json.Encoder().encode
_order: Final = msgspec.json.Decoder(Order).decode
_ANSWERS: Final = msgspec.json.Decoder[Status | Refusal](Status | Refusal)
