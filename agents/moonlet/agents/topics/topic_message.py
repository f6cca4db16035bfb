"""One message of a topic, as a subscriber gets it."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from moonlet.core.codec import Encoding, unpack
from moonlet.core.errors import InvalidMessage, PayloadTooLarge, Undecodable
from moonlet.core.schema import MessageType, decode_plain, find_upcasts, is_message_class
from moonlet.streams import TOPIC_AGENT, TOPIC_ID, TOPIC_SCHEMA, Delivery

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TopicMessage:
    """A message, until it is acknowledged one of those that the subscription waits for.

    `sequence` counts the messages of all topics, `attempt` its deliveries from 1. `id` is the
    same for one that was published twice: a subscriber who must act once remembers those. `agent`
    is who published it, empty for a client. `name` and `version` are its schema's.
    """

    __slots__ = (
        "_delivery",
        "_settle",
        "agent",
        "attempt",
        "id",
        "name",
        "sequence",
        "time",
        "topic",
        "version",
    )

    def __init__(
        self, delivery: Delivery, topic: str, settle: Callable[[Delivery, float | None], None]
    ) -> None:
        self._delivery = delivery
        self._settle = settle
        headers = delivery.headers or {}
        self.topic = topic
        self.sequence = delivery.sequence
        self.attempt = delivery.attempt
        self.time = _EPOCH + timedelta(microseconds=delivery.time // 1_000)
        self.id = headers.get(TOPIC_ID) or f"#{delivery.sequence}"
        self.agent = headers.get(TOPIC_AGENT, "")
        name, _, version = headers.get(TOPIC_SCHEMA, "").rpartition("/")
        self.name = name
        self.version = int(version) if version.isascii() and version.isdigit() else 1

    def __repr__(self) -> str:
        return f"<message {self.sequence} of {self.topic}: {self.name or 'plain data'}>"

    @property
    def body(self) -> Any:
        """The message as plain data. Raises `Undecodable`; acknowledge it, or it comes again."""
        body, encoding = self._unpacked()
        try:
            return decode_plain(body, encoding)
        except InvalidMessage as error:
            raise self._undecodable(error) from None

    def read(self, cls: type[T]) -> T:
        """The message as a `cls`, older versions by its module's upcasts. Raises `Undecodable`."""
        if not is_message_class(cls):
            raise InvalidMessage(f"{cls!r:.100} is no message class: read `body` instead")
        body, encoding = self._unpacked()
        known = MessageType(cls, _upcasts(cls))
        try:
            if self.name not in ("", known.name):
                raise InvalidMessage(f"it is a {self.name}, not a {known.name}", path="$")
            return known.decode(body, self.version if self.name else known.version, encoding)
        except InvalidMessage as error:
            raise self._undecodable(error) from None

    def acknowledge(self) -> None:
        """Say that it is dealt with, and need not come again; twice is harmless.

        It may be lost on the way: then the message comes again.
        """
        self._settle(self._delivery, None)

    def again(self, after: float = 0.0) -> None:
        """Have it delivered again, to whoever of the subscription is next, in `after` seconds."""
        self._settle(self._delivery, max(0.0, float(after)))

    def _unpacked(self) -> tuple[bytes, Encoding]:
        try:
            return unpack(self._delivery.data, self._delivery.encoding)
        except (InvalidMessage, PayloadTooLarge) as error:
            raise self._undecodable(error) from None

    def _undecodable(self, error: Exception) -> Undecodable:
        return Undecodable(
            f"message {self.sequence} of topic {self.topic} can't be read: {error}; whoever"
            " publishes there is to mend it: acknowledge it to go on",
            sequence=self.sequence,
            type=self.name,
            field=error.path if isinstance(error, InvalidMessage) else "",
        )


def _upcasts(cls: type) -> Any:
    module = sys.modules.get(cls.__module__)
    return find_upcasts(vars(module).values()) if module is not None else {}
