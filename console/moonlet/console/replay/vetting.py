"""`vet`: what in an application's handlers would come out otherwise at a replay."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from moonlet.console.common import ExitCode, Options, command_without, counted, find
from moonlet.replay import vet as vet_type

local = command_without("url", "context", "data", "prefix")


@local
def vet(
    options: Options,
    module: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODULE]...", help="Modules or .py files; else as --module."),
    ] = None,
) -> int:
    """Find clocks, chance, I/O, global state and in-place changes in handlers. Runs nothing.

    Of handlers of commands, events and queries, and of all they reach. Ends with 1 if it finds any.
    """
    types = find(module)
    here = Path.cwd()
    found = [each for name in sorted(types) for each in vet_type(types[name])]
    for each in dict.fromkeys(found):
        file = Path(each.file)
        shown = file.relative_to(here) if file.is_relative_to(here) else file
        via = f", by {each.via}" if each.via else ""
        text = f"{shown}:{each.line}: {each.kind}: {each.what} ({each.handler}{via})"
        record = {**msgspec.to_builtins(each), "remedy": each.remedy}
        options.output.result(record, f"{text}\n    {each.remedy}")
    if found:
        return ExitCode.FOUND
    names = ", ".join(sorted(types))
    options.output.remark(f"{counted(len(types), 'agent type')} vetted, and nothing found: {names}")
    return ExitCode.OK
