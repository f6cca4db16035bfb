"""The `moonlet` command: its sub-commands, and what `moonlet --help` says of all of them."""

from typing import Final

import typer

from moonlet.console import (
    bench,
    checking,
    demo,
    doctor,
    reading,
    sending,
    serving,
    sim,
    view_list,
    view_orders,
    viewing,
)
from moonlet.console.exits import MEANINGS

_EXITS: Final = "\n".join(f"{code:>3}  {meaning}" for code, meaning in MEANINGS.items())

app = typer.Typer(
    name="moonlet",
    help="Event-sourced agents on NATS JetStream: run them, talk to them, see what they did.",
    epilog=f"Exit codes:\n{_EXITS}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(demo.demo)
app.command()(serving.up)
app.command()(serving.run)
app.command()(sending.tell)
app.command()(sending.ask)
app.command()(sending.query)
app.command()(reading.agents)
app.command()(reading.history)
app.command()(reading.state)
app.command()(checking.verify)
app.command()(doctor.doctor)
app.command()(bench.bench)
app.command()(view_list.views)
app.add_typer(viewing.app)
app.add_typer(sim.app)

viewing.app.command()(view_list.lag)
viewing.app.command()(view_orders.pause)
viewing.app.command()(view_orders.resume)
viewing.app.command()(view_orders.retry)
viewing.app.command()(view_orders.seek)
viewing.app.command()(view_orders.skip)
