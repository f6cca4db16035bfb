"""The command `tui`: opens what is read, and hands it to the screens."""

import sys
from typing import Annotated

import typer

from moonlet.console.common import Modules, Options, command_without, find
from moonlet.console.replay import BundleFile, kept_states, reading
from moonlet.core.errors import InvalidSettings


@command_without("json")
async def tui(
    options: Options,
    point: Annotated[
        str | None,
        typer.Argument(metavar="[POINT]", help="Where to begin; without it with all agents."),
    ] = None,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Look through histories on the whole screen: states, what changed, causes. Changes nothing.

    By keyboard: `?` lists the keys, `:` shows the command that does the same.
    """
    if not has_terminal():
        raise InvalidSettings(
            "tui needs a terminal: in a pipe use `moonlet history`, `state`, `why` or `step`"
        )
    try:
        from moonlet.console.tui.base_screen import point_there
        from moonlet.console.tui.browser import Browser
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise InvalidSettings("tui needs the package textual: pip install 'moonlet[tui]'") from None
    types = find(module)
    async with reading(options, bundle, types.values()) as opened:
        start = await point_there(opened, point) if point is not None else None
        with kept_states(options, opened) as kept:
            made = Browser(
                options,
                opened,
                types,
                start,
                keyframes=kept,
                modules=module or [],
                bundle=bundle,
            )
            await made.run_async()


def has_terminal() -> bool:
    """Whether somebody can type, and sees."""
    return sys.stdin.isatty() and sys.stdout.isatty()
