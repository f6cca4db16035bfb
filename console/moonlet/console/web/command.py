"""The command `web`: opens what is shown, and serves it to browsers of this machine."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from moonlet.console.common import (
    Modules,
    Options,
    SameCommand,
    command,
    find_code,
    on_stop,
)
from moonlet.console.replay import BundleFile, indexed, kept_states, looking, reading
from moonlet.core.errors import InvalidSettings
from moonlet.replay import MemoryKeyframes
from moonlet.web import NodeFailed, WebAddress, WebSystem, build_page, in_clone, is_built

if TYPE_CHECKING:
    from moonlet.web import WebConsole

PORT: Final = 4280


@command
async def web(
    options: Options,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A bundle to look into, and no server."),
    ] = None,
    port: Annotated[int, typer.Option(help="The port; 0: a free one.", min=0, max=65_535)] = PORT,
    host: Annotated[
        str, typer.Option(help="The address to serve at. Beyond this machine only with TLS.")
    ] = "127.0.0.1",
    name: Annotated[str, typer.Option(help="What browsers call it, if that is not --host.")] = "",
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For TLS: the certificate chain, PEM.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For TLS: the private key, PEM.")
    ] = None,
    watch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A host's own pages, as `run --metrics-port` prints them; may be given again.",
        ),
    ] = None,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Show histories, states and causes in a browser. Changes nothing; Ctrl-C ends it.

    The address that is printed lets one browser in; then another one is printed for the next.
    """
    if file is not None and bundle is not None:
        raise InvalidSettings(f"{file} and --bundle {bundle}: give one")
    where = file or bundle
    _have_page(options)
    try:
        from moonlet.web import WebConsole
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise InvalidSettings(
            f"web needs the package {error.name}: pip install 'moonlet[web]'"
        ) from None
    address = WebAddress(host, port, name, certificate, key)
    address.check()
    code = find_code(module)
    stop = asyncio.Event()
    async with reading(options, where, code.types.values()) as opened:
        with kept_states(options, opened) as kept:
            system = WebSystem(
                source=opened.source,
                bus=opened.bus,
                types=code.types,
                views=code.views,
                command=SameCommand(options, module or [], where).line,
                looking=lambda: looking(options, opened),
                searching=lambda: indexed(options, opened, None, bodies=where is not None),
                keyframes=kept if kept is not None else MemoryKeyframes(),
                pages=tuple(_watched(each) for each in watch or ()),
            )
            console = WebConsole(system, address, lambda: _tell(options, console, again=True))
            on_stop(stop.set)
            async with console:
                _tell(options, console)
                await stop.wait()


def _have_page(options: Options) -> None:
    """In a clone the page is built when it is first needed."""
    if is_built():
        return
    if in_clone():
        options.output.remark("building the page (once, and when its sources change)")
    try:
        build_page()
    except NodeFailed as error:
        raise InvalidSettings(f"the page can't be built: {error}") from None


def _watched(address: str) -> str:
    """The beginning of a host's pages, without a path."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidSettings(f"--watch {address}: write it like http://127.0.0.1:9464")
    return f"{parts.scheme}://{parts.netloc}"


def _tell(options: Options, console: "WebConsole", *, again: bool = False) -> None:
    address = console.access.address
    if again:
        options.output.remark(f"a browser came in; for another: {address}")
    else:
        options.output.result({"address": address}, f"{address}  (Ctrl-C ends it)")
    sys.stdout.flush()
