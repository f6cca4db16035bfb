"""A function of the user's that an option names: `MODULE:FUNCTION`."""

import inspect
from collections.abc import Callable
from typing import Any

from moonlet.console.common.agent_types import module_at
from moonlet.core.errors import InvalidSettings


def function_at(option: str, text: str) -> Callable[[Any], Any]:
    """The function, which takes one argument; its module is a dotted name or a `.py` file.

    Raises `InvalidSettings` that names the option.
    """
    place, colon, name = text.rpartition(":")
    if not (place and colon and name):
        raise InvalidSettings(f"{option} {text}: write MODULE:FUNCTION")
    try:
        found: Any = getattr(module_at(place), name, None)
    except InvalidSettings as error:
        raise InvalidSettings(f"{option} {text}: {error}") from error
    if not callable(found):
        raise InvalidSettings(f"{option} {text}: {place} has no function {name!r}")
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        raise InvalidSettings(
            f"{option} {text}: {name}{inspect.signature(found)} must take one argument, and no"
            " more without a default"
        ) from None
    except ValueError:
        pass  # of a built-in function nothing is known
    function: Callable[[Any], Any] = found
    return function
