"""`top`: what agent types, hosts and the server do, again and again."""

from moonlet.console.top.command import top

__all__ = ["top"]
