"""The model as a server inside the process, and the packets that reach it."""

__all__: list[str] = []
