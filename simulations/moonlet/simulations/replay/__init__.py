"""Runs as files: kept, read and run again."""

__all__: list[str] = []
