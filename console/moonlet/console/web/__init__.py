"""`web`: the console in a browser."""

from moonlet.console.web.command import web
from moonlet.console.web.serving import web_console

__all__ = ["web", "web_console"]
