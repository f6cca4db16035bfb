"""The loggers of the framework, one a module: what is below its level costs next to nothing.

structlog writes the lines; whether there is one is known here already. Its own lazy loggers take
1.7 µs to find out, each time.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from moonlet.core.errors import InvalidSettings

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


def _nothing(event: str, **facts: Any) -> None:
    """A line that nobody wants."""


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
        """Write what has this level or more."""
        for method, needed in (*LEVELS.items(), ("exception", logging.ERROR)):
            setattr(self, method, partial(self._write, method) if needed >= level else _nothing)

    def _write(self, method: str, event: str, **facts: Any) -> None:
        factory = structlog.get_config()["logger_factory"]
        logger = structlog.wrap_logger(factory(), wrapper_class=_EVERYTHING, module=self.name)
        getattr(logger, method)(event, **facts)


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
        _levels[module] = _number(level)
    for logger in _loggers.values():
        logger.set(_level_of(logger.name))


def set_levels(text: str) -> None:
    """Levels as one text: `warning,moonlet.agents=debug`; `InvalidSettings`, and none is set."""
    found = []
    for part in filter(None, text.split(",")):
        module, equals, level = part.strip().rpartition("=")
        if equals and not module:
            raise InvalidSettings(f"log levels {text!r:.200}: write MODULE=LEVEL, or LEVEL for all")
        found.append((module.strip(), _number(level.strip())))
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


def _number(level: "int | str") -> int:
    if isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= 100:
        return level
    number = LEVELS.get(level.lower()) if isinstance(level, str) else None
    if number is None:
        raise InvalidSettings(f"log level {level!r:.80}: choose one of {', '.join(LEVELS)}")
    return number
