"""How a call's failure is read: with the call in it as the class that its handler takes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from moonlet.core.behavior import Handler
from moonlet.core.effects import PerformFailed
from moonlet.core.errors import InvalidMessage
from moonlet.core.schema import MessageType


class FailureType(MessageType[PerformFailed]):
    """`PerformFailed`, for an agent type with these handlers of calls."""

    __slots__ = ("_performs",)

    def __init__(self, performs: Mapping[str, Handler]) -> None:
        super().__init__(PerformFailed)
        self._performs = performs

    def decode(self, body: bytes, version: int, encoding: Any) -> PerformFailed:
        """See `MessageType.decode`."""
        return self._with_call(super().decode(body, version, encoding))

    def convert(self, body: Any, version: int) -> PerformFailed:
        """See `MessageType.convert`."""
        return self._with_call(super().convert(body, version))

    def settle(self, message: PerformFailed, encoding: Any) -> tuple[bytes, PerformFailed]:
        """See `MessageType.settle`; the call may be of its class or plain data."""
        handler = self._performs.get(message.call_name)
        if handler is not None and isinstance(message.call, handler.message.cls):
            plain = handler.message.plain(message.call)
            version = handler.message.version
            message = msgspec.structs.replace(message, call=plain, call_version=version)
        body, settled = super().settle(message, encoding)
        return body, self._with_call(settled)

    def _with_call(self, failed: PerformFailed) -> PerformFailed:
        """Plain data stays that if the code has no handler of it any more, or can't read it."""
        handler = self._performs.get(failed.call_name)
        if handler is None or failed.call is None:
            return failed
        try:
            call = handler.message.convert(failed.call, failed.call_version)
        except InvalidMessage:
            return failed
        return msgspec.structs.replace(failed, call=call)
