"""`demo`: the eight satellites through the night of the depeg, on hosts of their own."""

from moonlet.console.demo.command import demo

__all__ = ["demo"]
