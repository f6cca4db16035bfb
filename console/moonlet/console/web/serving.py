"""The console over what a command has opened: its page built if need be, its address told."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from moonlet.console.common import Code, Options, SameCommand
from moonlet.console.replay import Reading, indexed, kept_states, looking
from moonlet.core.errors import InvalidSettings
from moonlet.replay import MemoryKeyframes
from moonlet.web import NodeFailed, WebAddress, WebSystem, build_page, in_clone, is_built

if TYPE_CHECKING:
    from moonlet.web import WebConsole


@asynccontextmanager
async def web_console(
    options: Options,
    opened: Reading,
    code: Code,
    address: WebAddress,
    *,
    modules: Sequence[str] = (),
    bundle: Path | None = None,
    pages: tuple[str, ...] = (),
) -> "AsyncIterator[WebConsole]":
    """Serve what is `opened`, and tell the address; the next one whenever a browser came in.

    Raises `InvalidSettings` without the extra, or where the page can't be built, and `Unavailable`
    if the port is taken.
    """
    have_page(options)
    try:
        from moonlet.web import WebConsole
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise InvalidSettings(
            f"web needs the package {error.name}: pip install 'moonlet[web]'"
        ) from None
    with kept_states(options, opened) as kept:
        system = WebSystem(
            source=opened.source,
            bus=opened.bus,
            types=code.types,
            views=code.views,
            command=SameCommand(options, list(modules), bundle).line,
            looking=lambda: looking(options, opened),
            searching=lambda: indexed(options, opened, None, bodies=bundle is not None),
            keyframes=kept if kept is not None else MemoryKeyframes(),
            pages=pages,
        )
        console = WebConsole(system, address, lambda: _tell(options, console, again=True))
        async with console:
            _tell(options, console)
            yield console


def have_page(options: Options) -> None:
    """In a clone the page is built when it is first needed."""
    if is_built():
        return
    if in_clone():
        options.output.remark("building the page (once, and when its sources change)")
    try:
        build_page()
    except NodeFailed as error:
        raise InvalidSettings(f"the page can't be built: {error}") from None


def _tell(options: Options, console: "WebConsole", *, again: bool = False) -> None:
    address = console.access.address
    if again:
        options.output.remark(f"a browser came in; for another: {address}")
    else:
        options.output.result({"address": address}, f"{address}  (Ctrl-C ends it)")
    sys.stdout.flush()
