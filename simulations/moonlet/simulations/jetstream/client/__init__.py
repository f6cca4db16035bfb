"""The client's side of a connection to a server in memory."""

__all__: list[str] = []
