"""Bundles: the history of a real server as one file, taken from it and opened for a world."""

__all__: list[str] = []
