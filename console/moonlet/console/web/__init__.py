"""`web`: the console in a browser."""

from moonlet.console.web.command import web

__all__ = ["web"]
