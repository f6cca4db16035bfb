"""The one seam to the Rust core: chosen at import, by `MOONLET_NATIVE` and by what is there.

`auto` (the default) takes it if it is installed and of this seam, `off` never, `require` refuses
to go on without. Python is the specification: it does all by itself, and what the core leaves
alone.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from moonlet.core.errors import InvalidSettings

NATIVE_VARIABLE: Final = "MOONLET_NATIVE"

SEAM: Final = 1
"""Which arguments and results the core must have; its own number is compared with this."""

Facts = tuple[int, str, int, str, str, str, str, str | None, str | None, str]
"""Revision, outcome, µs, the command's id, name, sender, correlation, events, effects, reason."""


class NativeDeliveries(Protocol):
    """Makes deliveries of what was read from a socket."""

    def gather(
        self, data: bytes, position: int, known: dict[bytes, Any]
    ) -> tuple[Any, list[Any], int]:
        """Deliveries in a row of one subscription of `known`, its value there, where they end."""
        ...

    def sift(self, data: bytes, position: int, sifters: Any) -> int:
        """As `moonlet.streams.nats.sift.sift`."""
        ...


class NativeCore(Protocol):
    """What the Rust core offers."""

    Deliveries: Callable[[type, type, Callable[..., Any]], NativeDeliveries]
    __version__: str

    def commit_facts(self, records: list[bytes]) -> list[Facts | None]:
        """What an index takes of commits in JSON; None where it leaves one alone."""
        ...


class Native(NamedTuple):
    """The core, if it serves, and in words why it does or doesn't."""

    core: NativeCore | None
    reason: str


def choose_native(
    asked: str, load: Callable[[], Any] = lambda: importlib.import_module("moonlet_native")
) -> Native:
    """The core for this setting; raises `InvalidSettings`, with `require` also if there is none."""
    if asked not in ("", "auto", "off", "require"):
        raise InvalidSettings(f"{NATIVE_VARIABLE} is {asked!r}: say auto, off or require")
    if asked == "off":
        return Native(None, f"off, as {NATIVE_VARIABLE} says: Python alone serves")
    try:
        module = load()
        seam = module.SEAM
    except ImportError as error:
        why = f"it is not installed ({error})"
    except Exception as error:  # a damaged file: whatever it raises, Python serves
        why = f"it can't be loaded ({type(error).__name__}: {error})"
    else:
        if seam == SEAM:
            return Native(module, f"moonlet-native {module.__version__}")
        why = f"its seam is {seam!r:.40}, and {SEAM} is needed: install the one of this release"
    if asked == "require":
        raise InvalidSettings(
            f"{NATIVE_VARIABLE} is require, and there is no Rust core: {why}; install"
            " moonlet[native], or in a clone `pip install ./native`, which needs cargo"
        )
    return Native(None, f"{why}: Python alone serves")


NATIVE: Final = choose_native(os.environ.get(NATIVE_VARIABLE, ""))
"""The choice of this process."""
