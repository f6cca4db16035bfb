"""The loggers of the framework, one a module: what is below its level costs next to nothing.

structlog writes the lines; whether there is one is known here already. Its own lazy loggers take
1.7 µs to find out, each time.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from moonlet.core.errors import InvalidSettings
from moonlet.telemetry.context import facts_now

Keep = Callable[[int, str, str, dict[str, Any]], None]
"""Takes a line to be kept: level, module, event, facts; in any thread, and raises nothing."""

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

_loggers: Final[dict[str, "Logger"]] = {}
_levels: Final[dict[str, int]] = {"": logging.WARNING}

_EVERYTHING: Final = structlog.make_filtering_bound_logger(0)


class _Keeping:
    """Who keeps lines now, and from which level on."""

    keep: Keep | None = None
    level: int = logging.CRITICAL


def _nothing(
    event: object = None, agent: object = None, error: object = None, n: object = None,
    command: object = None, id: object = None, why: object = None, **facts: object,
) -> None:  # fmt: skip
    """A line that nobody wants. Facts of these names cost no dictionary: half of the time."""


class Logger:
    """The logger of one module. `exception` is `error` with the traceback of what is handled."""

    __slots__ = ("critical", "debug", "error", "exception", "info", "name", "warning")

    def __init__(self, name: str) -> None:
        self.name = name
        self.debug: Callable[..., None] = _nothing
        self.info: Callable[..., None] = _nothing
        self.warning: Callable[..., None] = _nothing
        self.error: Callable[..., None] = _nothing
        self.critical: Callable[..., None] = _nothing
        self.exception: Callable[..., None] = _nothing
        self.set(_level_of(name))

    def set(self, level: int) -> None:
        """Write what has this level or more; what is kept may have less."""
        kept = min(level, _Keeping.level) if _Keeping.keep is not None else None
        for method, needed in (*LEVELS.items(), ("exception", logging.ERROR)):
            if needed >= level:
                write: Callable[..., None] = partial(self._write, method, needed)
            elif kept is not None and needed >= kept:
                write = partial(self._keep, needed)
            else:
                write = _nothing
            setattr(self, method, write)

    def _write(self, method: str, level: int, event: str, **facts: Any) -> None:
        facts = {**facts_now(), **facts}
        config = structlog.get_config()
        logger = structlog.wrap_logger(
            config["logger_factory"](), wrapper_class=_EVERYTHING, module=self.name
        )
        try:
            getattr(logger, method)(event, **facts)
        finally:  # a stderr that is gone is no reason to keep nothing
            keep = _Keeping.keep
            if keep is not None:
                keep(level, self.name, str(event), _with_traceback(facts, method == "exception"))

    def _keep(self, level: int, event: str, **facts: Any) -> None:
        keep = _Keeping.keep
        if keep is not None:
            found = facts_now()
            found.update(facts)
            keep(level, self.name, str(event), _with_traceback(found, False))


def _with_traceback(facts: dict[str, Any], handled: bool) -> dict[str, Any]:
    """`exc_info`, or what is being handled, as the text of its traceback."""
    if not handled and "exc_info" not in facts:
        return facts
    given = facts.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else None
    if error is None and (handled or given):
        error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
    if error is not None:
        facts["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return facts


def keep_lines(keep: Keep | None, level: int = logging.INFO) -> None:
    """Hand all lines of `level` and more to `keep` too, from now on; None: to nobody.

    Modules with a lower level of their own are kept from there on. One keeps at a time: whoever
    comes later takes the place of the one before.
    """
    _Keeping.keep, _Keeping.level = keep, level
    for logger in _loggers.values():
        logger.set(_level_of(logger.name))


# The thread that writes is not in a forked process, and what it holds is the parent's.
os.register_at_fork(after_in_child=partial(keep_lines, None))


def logger_of(name: str) -> Logger:
    """The logger of this module: the same each time."""
    logger = _loggers.get(name)
    if logger is None:
        logger = _loggers[name] = Logger(name)
    return logger


def set_level(level: "int | str | None", module: str = "") -> None:
    """Log from `level` on in `module` and what is below it, from now on; '' is everything.

    The nearest module that has a level of its own decides. `level` is a name (`LEVELS`) or a number
    of `logging`; None takes a module's own away.
    """
    if level is None:
        if module:
            _levels.pop(module, None)
    else:
        _levels[module] = number_of(level)
    for logger in _loggers.values():
        logger.set(_level_of(logger.name))


def set_levels(text: str) -> None:
    """Levels as one text: `warning,moonlet.agents=debug`; `InvalidSettings`, and none is set."""
    found = []
    for part in filter(None, text.split(",")):
        module, equals, level = part.strip().rpartition("=")
        if equals and not module:
            raise InvalidSettings(f"log levels {text!r:.200}: write MODULE=LEVEL, or LEVEL for all")
        found.append((module.strip(), number_of(level.strip())))
    for module, number in found:
        set_level(number, module)


def levels() -> dict[str, int]:
    """What was set, by module; '' is everything else."""
    return dict(_levels)


def restore_levels(before: dict[str, int]) -> None:
    """Set what `levels` gave, and nothing else."""
    _levels.clear()
    _levels.update(before)
    for logger in _loggers.values():
        logger.set(_level_of(logger.name))


def _level_of(name: str) -> int:
    while name:
        if name in _levels:
            return _levels[name]
        name = name.rpartition(".")[0]
    return _levels[""]


def number_of(level: "int | str") -> int:
    """The number of a level that has a name, or is one; raises `InvalidSettings`."""
    if isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= 100:
        return level
    number = LEVELS.get(level.lower()) if isinstance(level, str) else None
    if number is None:
        raise InvalidSettings(f"log level {level!r:.80}: choose one of {', '.join(LEVELS)}")
    return number
