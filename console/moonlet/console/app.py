"""The `moonlet` command: its sub-commands, and what `moonlet --help` says of all of them."""

import importlib
from typing import Annotated, Any, Final

import typer

from moonlet.console.common import MEANINGS
from moonlet.console.version import say_version

_COMMANDS: Final = {
    "demo": "moonlet.console.demo:demo",
    "up": "moonlet.console.agents:up",
    "run": "moonlet.console.agents:run",
    "alerts": "moonlet.console.agents:alerts",
    "logs": "moonlet.console.logs:logs",
    "tell": "moonlet.console.agents:tell",
    "ask": "moonlet.console.agents:ask",
    "query": "moonlet.console.agents:query",
    "agents": "moonlet.console.agents:agents",
    "history": "moonlet.console.replay:history",
    "state": "moonlet.console.replay:state",
    "diff": "moonlet.console.replay:diff",
    "blame": "moonlet.console.replay:blame",
    "bisect": "moonlet.console.replay:bisect",
    "why": "moonlet.console.replay:why",
    "effects": "moonlet.console.replay:effects",
    "trace": "moonlet.console.replay:trace",
    "fork": "moonlet.console.replay:fork",
    "cohort": "moonlet.console.replay:cohort_",
    "step": "moonlet.console.replay:step",
    "top": "moonlet.console.top:top",
    "tui": "moonlet.console.tui:tui",
    "web": "moonlet.console.web:web",
    "replay": "moonlet.console.replay:replay",
    "vet": "moonlet.console.replay:vet",
    "index": "moonlet.console.replay:index",
    "search": "moonlet.console.replay:search",
    "waiting": "moonlet.console.waiting:waiting",
    "parked": "moonlet.console.waiting:parked_app",
    "bundle": "moonlet.console.bundle:bundle_app",
    "compare": "moonlet.console.replay:compare",
    "cut": "moonlet.console.replay:cut",
    "verify": "moonlet.console.agents:verify",
    "repair": "moonlet.console.agents:repair_",
    "doctor": "moonlet.console.doctor:doctor",
    "bench": "moonlet.console.bench:bench",
    "views": "moonlet.console.view:views",
    "topology": "moonlet.console.topology:topology_app",
    "view": "moonlet.console.view:view_app",
    "sim": "moonlet.console.sim:sim_app",
}
"""Where each sub-command is, in the order of the help. Only the one that is typed is imported."""

_EXITS: Final = "\n".join(f"{code:>3}  {meaning}" for code, meaning in MEANINGS.items())


class LazyGroup(typer.core.TyperGroup):
    """Imports a sub-command's room when the command is typed, or all for the help."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; None if there is none."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        found = getattr(importlib.import_module(module), name)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)


app = typer.Typer(
    name="moonlet",
    cls=LazyGroup,
    epilog=f"Exit codes:\n{_EXITS}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def moonlet(
    _: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=say_version, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    """Event-sourced agents on NATS JetStream: run them, talk to them, see what they did."""
