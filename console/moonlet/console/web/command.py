"""The command `web`: opens what is shown, and serves it to browsers of this machine."""

import asyncio
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from moonlet.console.common import Modules, Options, command, find_code, on_stop
from moonlet.console.replay import BundleFile, reading
from moonlet.console.web.serving import web_console
from moonlet.core.errors import InvalidSettings
from moonlet.web import WebAddress

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
    address = WebAddress(host, port, name, certificate, key)
    address.check()
    pages = tuple(_watched(each) for each in watch or ())
    code = find_code(module)
    stop = asyncio.Event()
    async with (
        reading(options, where, code.types.values()) as opened,
        web_console(
            options, opened, code, address, modules=module or (), bundle=where, pages=pages
        ),
    ):
        on_stop(stop.set)
        await stop.wait()


def _watched(address: str) -> str:
    """The beginning of a host's pages, without a path."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidSettings(f"--watch {address}: write it like http://127.0.0.1:9464")
    return f"{parts.scheme}://{parts.netloc}"
