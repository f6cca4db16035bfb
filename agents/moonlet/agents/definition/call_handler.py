"""How a call is done: its handler, how often it is tried, how long it may take, what it needs."""

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from typing import Any, Final, TypeAlias

import msgspec

from moonlet.core.behavior import Handler
from moonlet.core.errors import InvalidAgentType

RetryOn: TypeAlias = (
    type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool | float | timedelta]
)
"""The errors after which a call is tried again: classes, or a function that is asked of each.

What that returns is whether, or in how many seconds.
"""

Resource: TypeAlias = Callable[[], AbstractAsyncContextManager[Any] | AbstractContextManager[Any]]
"""Opens what calls need, an HTTP client or a database; the host closes it."""

SECONDS_MAX: Final = 86_400.0
"""The longest time that a call can be given, in seconds."""


class CallPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often a call is tried, and how long it may take; times are in seconds.

    An attempt has failed after `attempt_timeout`, the call after `timeout`, the waits between its
    attempts included. Those grow from `wait` to `wait_max`, doubling, with up to ten times `wait`
    of chance. Only errors of `retry_on` lead to another attempt; an attempt that took too long is a
    `TimeoutError`.
    """

    attempts: int = 1
    retry_on: Any = Exception
    attempt_timeout: float = 20.0
    timeout: float = 600.0
    wait: float = 0.1
    wait_max: float = 5.0

    def check(self, where: str) -> None:
        """Raise `InvalidAgentType` for what can't be; `where` says whose it is."""
        if type(self.attempts) is not int or not 1 <= self.attempts <= 1_000:
            raise InvalidAgentType(f"{where}: attempts={self.attempts!r}: give 1 to 1,000")
        for name in ("attempt_timeout", "timeout", "wait", "wait_max"):
            seconds = getattr(self, name)
            if type(seconds) not in (int, float) or not 0 < seconds <= SECONDS_MAX:
                raise InvalidAgentType(
                    f"{where}: {name}={seconds!r}: give seconds over 0, to {SECONDS_MAX:.0f}"
                )
        if self.attempt_timeout > self.timeout:
            raise InvalidAgentType(
                f"{where}: attempt_timeout={self.attempt_timeout} is longer than the"
                f" timeout={self.timeout} of all attempts: raise that"
            )
        classes = self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)
        for cls in classes:
            is_error = isinstance(cls, type) and issubclass(cls, Exception)
            is_function = not isinstance(cls, type) and callable(cls) and len(classes) == 1
            if not (is_error or is_function):
                raise InvalidAgentType(
                    f"{where}: retry_on={self.retry_on!r:.100}: give classes of exceptions, or a"
                    " function that is asked of each"
                )

    def retries(self, error: BaseException) -> bool | float | timedelta:
        """Whether `error` leads to another attempt, or in how many seconds."""
        if not isinstance(error, Exception):
            return False
        if isinstance(self.retry_on, type | tuple):
            return isinstance(error, self.retry_on)
        asked = self.retry_on(error)
        if isinstance(asked, int | float) and not isinstance(asked, bool):
            return float(asked) if math.isfinite(asked) and asked >= 0 else False
        return asked if isinstance(asked, timedelta) else bool(asked)


class CallHandler(Handler, frozen=True):
    """An `on_perform` function. `extras` are its parameters behind the call, in order.

    `wants_context` says of it whether it takes the call's id.
    """

    extras: tuple[str, ...] = ()
    policy: CallPolicy = CallPolicy()
    is_async: bool = True

    @property
    def resources(self) -> tuple[str, ...]:
        """The names of the host's resources that it takes."""
        return tuple(name for name in self.extras if name != "call_id")
