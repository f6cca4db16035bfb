"""`moonlet view NAME`: its sub-commands, in the order in which its help shows them."""

from moonlet.console.view.command import view_app
from moonlet.console.view.orders import pause, resume, retry, seek, skip
from moonlet.console.view.standing import lag

__all__ = ["view_app"]

for order in (lag, pause, resume, retry, seek, skip):
    view_app.command()(order)
