"""The options that all commands share, and what a command becomes when it is given them."""

import functools
import gc
import inspect
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.console.common.exits import ExitCode, exit_code
from moonlet.console.common.loop import run_main
from moonlet.console.common.output import Output
from moonlet.core.errors import MoonletError
from moonlet.streams import Topology
from moonlet.telemetry import configure, set_levels

PREFIX: Final = Topology().prefix

LOG_VARIABLE: Final = "MOONLET_LOG"
"""The environment's word on what is logged: `info,moonlet.agents.owner=debug`."""

Url = Annotated[
    str | None,
    typer.Option("--url", help="The NATS server, else MOONLET_NATS_URL, a context, or embedded."),
]
Context = Annotated[str | None, typer.Option("--context", help="A context of the `nats` tool.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        show_default=False,
        help="Use the embedded server of this folder's .moonlet/. Default: the working folder.",
    ),
]
Prefix = Annotated[
    str,
    typer.Option(
        "--prefix",
        envvar="MOONLET_PREFIX",
        help="Which system on the server: its streams and subjects begin so.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Debug = Annotated[bool, typer.Option("--debug", help="Log everything, and show tracebacks.")]

Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        metavar="MODULE[:NAME]",
        help="Where the agent types are: a module or a .py file. Else [tool.moonlet] modules in"
        " ./pyproject.toml, else the satellites. May be given several times.",
    ),
]


class Options(msgspec.Struct, frozen=True):
    """What the shared options say; `output` is where results and errors go.

    `embedded`: the folder was named, and no other server, so no other is to be looked for.
    """

    url: str | None
    context: str | None
    folder: Path
    embedded: bool
    debug: bool
    output: Output
    prefix: str = PREFIX


_SHARED: dict[str, tuple[Any, Any]] = {
    "url": (Url, None),
    "context": (Context, None),
    "data": (Data, None),
    "prefix": (Prefix, PREFIX),
    "json": (Json, False),
    "debug": (Debug, False),
}


def command(function: Callable[..., Any], *, without: tuple[str, ...] = ()) -> Callable[..., None]:
    """Let typer call `function(options, ...)`: with the shared options after its own.

    A coroutine function is run. A MoonletError ends the command with one message and its exit
    code; a number that the function returns is the exit code.
    """
    shared = {name: option for name, option in _SHARED.items() if name not in without}

    @functools.wraps(function)
    def wrapper(**given: Any) -> None:
        values = {name: given.pop(name, default) for name, (_, default) in _SHARED.items()}
        json, debug = values["json"], values["debug"]
        url, context, data = values["url"], values["context"], values["data"]
        embedded = data is not None and not url and not context
        output = Output(json=json)
        options = Options(url, context, data or Path(), embedded, debug, output, values["prefix"])
        if not gc.isenabled():  # `main` had it off while all was imported, and that stays
            gc.freeze()
            gc.enable()
        configure(logging.DEBUG if debug else logging.WARNING, json=json)
        raise typer.Exit(outcome(function, options, given))

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in shared.items()
    ]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def command_without(*names: str) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """As `command`, without those of the shared options that it has no use for."""
    return functools.partial(command, without=names)


def outcome(function: Callable[..., Any], options: Options, given: dict[str, Any]) -> int:
    """Call a command's function, say what went wrong; returns its exit code."""
    output = options.output
    try:
        set_levels(os.environ.get(LOG_VARIABLE) or "")
        result = function(options, **given)
        if inspect.iscoroutine(result):
            result = run_main(result)
        return int(result or ExitCode.OK)
    except MoonletError as error:
        output.failure(error, debug=options.debug)
        return exit_code(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if options.debug:
            traceback.print_exception(error)
        output.failure(
            MoonletError(
                f"unexpected {type(error).__name__}: {error}; this is a bug: run it again with"
                " --debug and report what it shows"
            ),
            debug=False,
        )
        return ExitCode.INTERNAL
