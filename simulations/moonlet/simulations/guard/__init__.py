"""The guard of a run: whatever would read the real world is virtual, or an error."""

__all__: list[str] = []
