"""The server by bytes: what an unmodified NATS client meets inside a run."""

__all__: list[str] = []
