"""The `moonlet` command: its sub-commands, and what `moonlet --help` says of all of them."""

from typing import Annotated, Final

import typer

from moonlet.console.agents import (
    agents,
    ask,
    history,
    query,
    repair_,
    run,
    state,
    tell,
    up,
    verify,
)
from moonlet.console.bench import bench
from moonlet.console.common import MEANINGS
from moonlet.console.demo import demo
from moonlet.console.doctor import doctor
from moonlet.console.sim import sim_app
from moonlet.console.topology import topology_app
from moonlet.console.version import say_version
from moonlet.console.view import view_app, views

_EXITS: Final = "\n".join(f"{code:>3}  {meaning}" for code, meaning in MEANINGS.items())

app = typer.Typer(
    name="moonlet",
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


app.command()(demo)
app.command()(up)
app.command()(run)
app.command()(tell)
app.command()(ask)
app.command()(query)
app.command()(agents)
app.command()(history)
app.command()(state)
app.command()(verify)
app.command("repair")(repair_)
app.command()(doctor)
app.command()(bench)
app.command()(views)
app.add_typer(topology_app)
app.add_typer(view_app)
app.add_typer(sim_app)
